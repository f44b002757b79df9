import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import type { Recorder } from '../../engine/program.ts';
import { Tape } from '../../engine/tape.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { add } from '../../shaders/add.ts';
import { device, run, tensor } from '../gpu.ts';

/** x + y with its gradient, which is dy for both; `asked` notes who wanted it. */
function sum(p: Recorder, x: Tensor, y: Tensor, asked: Tensor[] = []): Tensor {
  const back = (dz: Tensor): void => {
    for (const t of [x, y]) {
      if (p.tape!.wants(t)) asked.push(t);
      p.tape!.give(t, dz);
    }
  };
  return p.composite('sum', [x, y], () => add(p, x, y), back);
}

const one = tensor('f32', [1], [1]);

test('gradients of a tensor used several times add up, over passes too', async () => {
  const w = tensor('f32', [1], [3]),
    sink = device.tensor('sink', 'f32', [1]);
  const step = (p: Recorder) => {
    p.tape = new Tape(p, new Map([[w, sink]]), add);
    let x = sum(p, w, w); // 2 w
    x = sum(p, x, x); // 4 w
    p.tape.backward(sum(p, x, w), one); // 5 w
    return sink;
  };
  assert.equal([...(await run(step))], [5]);
  assert.equal([...(await run(step))], [10]);
});

test('nothing is computed towards what does not learn', async () => {
  const w = tensor('f32', [1], [3]),
    frozen = tensor('f32', [1], [4]),
    sink = device.tensor('sink', 'f32', [1]),
    asked: Tensor[] = [];
  let before = 0,
    recorded = 0;
  await run((p) => {
    p.tape = new Tape(p, new Map([[w, sink]]), add);
    const still = sum(p, sum(p, frozen, frozen, asked), frozen, asked);
    assert.not(p.tape.wants(still));
    const loss = sum(p, still, w, asked);
    before = p.dispatches.length;
    p.tape.backward(loss, one);
    recorded = p.dispatches.length - before;
    return sink;
  });
  assert.equal(asked, [w]);
  assert.is(recorded, 1);
});

test('an operation without a gradient is named, where a gradient comes by and only there', async () => {
  const w = tensor('f32', [1], [3]),
    sink = device.tensor('sink', 'f32', [1]);
  const record = (through: boolean) => (p: Recorder) => {
    p.tape = new Tape(p, new Map([[w, sink]]), add);
    const aside = p.tensor('aside', 'f32', [1]);
    p.tape.leave(aside, [w], undefined, 'sort');
    p.tape.backward(sum(p, through ? aside : w, w), one);
  };
  await run(record(false));
  const error = await run(record(true)).then(
    () => undefined,
    (e: unknown) => e,
  );
  assert.instance(error, MMARError);
  assert.match((error as MMARError).message, /^sort has no gradient/);
});

test('a loss that nothing learns from is an error', async () => {
  await run((p) => {
    p.tape = new Tape(p, new Map(), add);
    assert.throws(() => p.tape!.backward(one, one), /nothing learns from the loss/);
  });
});

test.run();
