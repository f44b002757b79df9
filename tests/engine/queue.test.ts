// What runs on the queue runs in order, one program after another, and knows how long its own dispatches take.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import type { Program } from '../../engine/program.ts';
import { packRows, type Tensor } from '../../engine/tensor.ts';
import { Workspace } from '../../engine/workspace.ts';
import { add } from '../../shaders/add.ts';
import { scale } from '../../shaders/scale.ts';
import { device, numbers, smallDevice, tensor } from '../gpu.ts';

const n = 256,
  x = tensor('f32', [n, n], numbers(n * n)),
  made = (): Tensor => device.tensor('made', 'f32', [n, n]);

/** into += x × factor^steps, through scratch. */
const power = (into: Tensor, factor: number, steps: number): Promise<Program> =>
  device.record(`power ${factor}`, (p) => {
    let h = x;
    for (let i = 0; i < steps; i++) h = scale(p, h, factor);
    add(p, h, h, into);
  });

/** x × factor. */
const times = (factor: number): Float32Array => numbers(n * n).map((v) => v * factor);

/** Fails at the first value that differs: a list of so many takes minutes to show. */
function same(got: Float32Array, want: Float32Array): void {
  const at = want.findIndex((v, i) => v !== got[i]);
  assert.is(at, -1, `value ${at} is ${got[at]}, not ${want[at]}`);
}

test('two programs asked for at once run one after the other', async () => {
  const [a, b] = [made(), made()],
    [first, second] = [await power(a, 2, 60), await power(b, 0.5, 60)];
  await Promise.all([device.queue.run(first), device.queue.run(second)]);
  await device.queue.idle();
  same(await device.read(a), times(2 ** 60));
  same(await device.read(b), times(0.5 ** 60));
});

test('a write and a copy come behind what was recorded before', async () => {
  const [input, output, other] = [
    tensor('f32', [1, 4], [1, 2, 3, 4]),
    tensor('f32', [1, 4], []),
    tensor('f32', [1, 4], []),
  ];
  const program = await device.record('sum', (p) => void add(p, input, input, output));
  await device.queue.run(program);
  device.write(input, packRows('f32', 4, [9, 9, 9, 9]));
  assert.equal([...(await device.read(output))], [1, 2, 3, 4]);
  await device.queue.run(program);
  device.copy(output, other);
  assert.equal([...(await device.read(other))], [10, 11, 12, 13]);
});

test('a copy of tensors in several pieces, and of tensors that do not fit', async () => {
  const small = await smallDevice(512),
    from = tensor('f32', [100, 5], numbers(500), small),
    to = tensor('f32', [100, 5], [], small);
  assert.ok(from.pieces.length > 1);
  small.copy(from, to);
  same(await small.read(to), numbers(500));
  assert.throws(
    () => small.copy(from, tensor('f32', [5, 3], [], small)),
    /copy: test f32\[100,5\] into test f32\[5,3\]; want one shape and type/,
  );
  small.destroy();
});

test("a program's pace is that of its own dispatches", async () => {
  const large = tensor('f32', [2048, 1024], []),
    small = tensor('f32', [1, 4], [1, 1, 1, 1]);
  const chain = (t: Tensor, steps: number): Promise<Program> =>
    device.record('chain', (p) => {
      let h = t;
      for (let i = 0; i < steps; i++) h = scale(p, h, 1);
    });
  const [slow, quick] = [await chain(large, 7), await chain(small, 2)]; // 7: not yet sent when the next begins
  for (let i = 0; i < 9; i++) {
    // more than a pace remembers, so that a busy machine's few slow ones count for little
    await device.queue.run(slow);
    await device.queue.run(quick);
    await device.queue.idle();
  }
  const start = performance.now();
  await device.queue.run(slow);
  await device.queue.idle();
  const each = (performance.now() - start) / 1000 / 7,
    paced = quick.pace.each;
  assert.ok(paced !== undefined, 'nothing was timed');
  assert.ok(paced <= 0.3 * each, `${paced} s a dispatch beside ${each} s of the other's`);
});

test('a program that is evicted or destroyed while it runs comes to its end', async () => {
  const workspace = new Workspace(device, 1),
    into = made();
  const long = await workspace.program('long', (p) => {
    let h = x;
    for (let i = 0; i < 600; i++) h = scale(p, h, i % 2 ? 2 : 0.5);
    add(p, h, h, into);
  });
  const running = device.queue.run(long);
  await workspace.program('other', (p) => void scale(p, x, 1)); // takes its place
  await running;
  await device.queue.idle();
  same(await device.read(into), times(1));
  const { held } = device.memory;
  const brief = await power(into, 1, 3);
  const ran = device.queue.run(brief);
  brief.destroy();
  await ran;
  assert.is(device.memory.held, held, 'its own memory goes with its last run');
  const again = await power(made(), 1, 3);
  await device.queue.run(again); // recorded, not sent
  again.destroy();
  await device.queue.idle();
  const error = await device.queue.run(again).catch((e: unknown) => e);
  assert.instance(error, MMARError);
  assert.match((error as MMARError).message, /^the program power 1 was destroyed; record it again$/);
  await workspace.release();
});

test('a tensor that is released was still there for what was recorded', async () => {
  const input = tensor('f32', [1, 4], [1, 2, 3, 4]),
    output = tensor('f32', [1, 4], []);
  const program = await device.record('sum', (p) => void add(p, input, input, output));
  await device.queue.run(program);
  device.release(input);
  assert.equal([...(await device.read(output))], [1, 2, 3, 4]);
  program.destroy();
});

test.run();
