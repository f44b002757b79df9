// Nothing stays of what is gone or has failed.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pipelines } from '../../engine/pipeline.ts';
import type { Recorder } from '../../engine/program.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { Workspace } from '../../engine/workspace.ts';
import { scale } from '../../shaders/scale.ts';
import { device, numbers, tensor } from '../gpu.ts';

const x = tensor('f32', [64, 64], numbers(4096));
const chain = (p: Recorder, steps: number): Tensor => {
  let h = x;
  for (let i = 0; i < steps; i++) h = scale(p, h, 2);
  return h;
};
const failure = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => {
      throw new Error('nothing was thrown');
    },
    (error: Error) => error,
  );

test('evaluate leaves no memory, whether it ends well, is stopped, or does not compile', async () => {
  const evaluate = (signal?: AbortSignal) => device.evaluate('y', (p) => ({ y: chain(p, 3), x }), signal);
  await evaluate();
  const { held } = device.memory;
  await evaluate();
  assert.is(device.memory.held, held);
  assert.is((await device.read(x)).length, 4096); // a lasting tensor among the results stays
  await failure(evaluate(AbortSignal.abort()));
  assert.is(device.memory.held, held);
  const broken = (p: Recorder) => {
    const y = chain(p, 2);
    p.operation({ ...p.dispatches[0], source: { file: 'broken.wgsl', text: 'fn main( {' }, read: [y], write: [y] });
    return { y, fixed: p.constant('fixed', 'f32', [1, 4], [1, 2, 3, 4]) };
  };
  await failure(device.evaluate('broken', broken));
  assert.is(device.memory.held, held);
  const throws = (p: Recorder) => {
    p.keep(chain(p, 1));
    p.constant('fixed', 'f32', [1, 4], [1, 2, 3, 4]);
    throw new Error('no');
  };
  await failure(device.evaluate('throws', throws));
  assert.is(device.memory.held, held);
});

test('scratch, constants and tensors go with the workspace; scratch that others use stays', async () => {
  device.memory.trim();
  const { held } = device.memory,
    workspace = new Workspace(device, 4),
    other = new Workspace(device, 4);
  const record = (p: Recorder) => {
    const fixed = p.constant('fixed', 'f32', [64, 64], numbers(4096, 'f32', 3));
    scale(p, fixed, 2);
    chain(p, 5);
  };
  workspace.tensor('state', 'f32', [100, 100]);
  await device.queue.run(await workspace.program('a', record));
  const both = await other.program('b', (p) => {
    const y = p.keep(scale(p, chain(p, 4), 1));
    result = y;
  });
  const during = device.memory.held;
  await workspace.release();
  assert.ok(device.memory.held < during && device.memory.held > held);
  await device.queue.run(both); // its scratch is there
  assert.ok((await device.read(result)).every((v, i) => v === 16 * numbers(4096)[i]));
  device.release(result);
  await other.release();
  assert.is(device.memory.held, held);
});
let result: Tensor;

test('a constant has its values at every run', async () => {
  const into = device.tensor('into', 'f32', [1, 4]);
  const program = await device.record('constant', (p) => {
    const fixed = p.constant('fixed', 'f32', [1, 4], [1, 2, 3, 4]);
    p.operation({ ...templateOf(p, fixed), read: [fixed], write: [into] });
  });
  for (let i = 0; i < 2; i++) {
    await device.queue.run(program);
    assert.equal([...(await device.read(into))], [2, 4, 6, 8]);
  }
  program.destroy();
});

/** What `scale` by 2 records. */
function templateOf(p: Recorder, t: Tensor) {
  scale(p, t, 2);
  return p.dispatches.pop()!;
}

test('what failed once is tried again: a recording, a compilation, what the device refuses', async () => {
  const workspace = new Workspace(device, 4);
  const attempt = (fails: boolean) =>
    workspace.program('once', (p) => {
      if (fails) throw new Error('not yet');
      chain(p, 1);
    });
  assert.match((await failure(attempt(true))).message, /not yet/);
  await device.queue.run(await attempt(false));

  const { gpu } = device,
    compile = gpu.createComputePipelineAsync;
  const unheard = (p: Recorder) => {
    const template = templateOf(p, x);
    p.operation({ ...template, constants: { ...template.constants, unheard: 1 } });
  };
  gpu.createComputePipelineAsync = () => Promise.reject(new Error('the compiler is busy'));
  assert.match(
    (await failure(device.record('unheard', unheard))).message,
    /scale .*does not compile: the compiler is busy/,
  );
  gpu.createComputePipelineAsync = compile;
  await device.queue.run(await device.record('unheard', unheard));

  const many = (p: Recorder) => {
    const most = device.limits.maxStorageBuffersPerShaderStage + 1;
    p.operation({ ...templateOf(p, x), read: Array.from({ length: most }, () => x) });
  };
  const refused = (await failure(device.record('many', many))).message;
  assert.match(refused, /storage buffers|layout/i);
  const odd = device.tensor('odd', 'f32', [1, 4]);
  odd.pieces[0].buffer = gpu.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST });
  assert.match(
    (await failure(device.record('unbindable', (p) => void scale(p, odd, 2)))).message,
    /^unbindable: .*usage/i,
  );
  device.check(); // goes on
  await workspace.release();
});

test('programs are kept up to a number, the ones used last', async () => {
  const workspace = new Workspace(device, 3);
  let recorded = 0;
  const use = (key: string) =>
    workspace.program(key, (p) => {
      recorded++;
      chain(p, 1);
    });
  for (const key of ['a', 'b', 'c', 'a', 'd']) await use(key); // b goes
  assert.is(recorded, 4);
  for (const key of ['a', 'c', 'd']) await use(key);
  assert.is(recorded, 4);
  await use('b');
  assert.is(recorded, 5);
  const { held } = device.memory;
  for (let i = 0; i < 50; i++) await use(`program ${i}`);
  await Promise.resolve();
  assert.ok(device.memory.held <= held + 256, `${device.memory.held - held} bytes more`);
  await workspace.release();
});

test('what is held and what was held at most', () => {
  const before = device.memory.report();
  const large = Math.ceil(before.peak / 4096) + 100;
  const tensors = [device.tensor('large', 'f32', [large, 1024]), device.tensor('small', 'bf16', [3, 5])];
  const sizes = [4096 * large, 3 * 16];
  assert.is(device.memory.held, before.held + sizes[0] + sizes[1]);
  assert.is(device.memory.peak, before.held + sizes[0] + sizes[1]);
  for (const made of tensors) device.release(made);
  assert.is(device.memory.held, before.held);
  const { peak } = device.memory;
  device.release(device.tensor('small', 'f32', [1, 1]));
  assert.is(device.memory.peak, peak);
});

test('scratch of a program that is gone, or could not be made, is freed; a large one never lies in a small buffer', async () => {
  device.memory.trim();
  const { held } = device.memory;
  const sizes = [3000, 900, 5000];
  const sum = (p: Recorder, n: number): Tensor => scale(p, scale(p, tensor('f32', [n, 8], numbers(8 * n)), 2), 4);
  for (const n of sizes) {
    const { y } = await device.evaluate('sizes', (p) => ({ y: sum(p, n) }));
    const want = numbers(8 * n).map((v) => 8 * v);
    assert.is(
      y.findIndex((v, i) => v !== want[i]),
      -1,
    );
  }
  const rows = device.tensor('rows', 'f32', [7000, 8]);
  const kept = device.memory.held;
  const program = await device.record('large', (p) => void scale(p, scale(p, rows, 2), 2));
  program.destroy();
  program.destroy(); // a second time does nothing
  device.memory.trim();
  assert.ok(device.memory.held <= kept, `${device.memory.held - kept} bytes of scratch stay`);
  const broken = (p: Recorder) => {
    const y = scale(p, scale(p, rows, 2), 2);
    p.operation({ ...p.dispatches[0], source: { file: 'broken.wgsl', text: 'fn main( {' }, read: [y], write: [y] });
  };
  await failure(device.record('broken', broken));
  device.memory.trim();
  assert.ok(device.memory.held <= kept, `${device.memory.held - kept} bytes of scratch stay of a failure`);
  assert.ok(kept > held);
});

test('pipelines are told apart by source and constants, and kept up to a number, the ones used last', async () => {
  const pipelines = new Pipelines(device.gpu, 3);
  const text =
    '@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1) fn main() { y[0] = ';
  const get = (value: string, n = 0) =>
    pipelines.get('one', { file: 'one.wgsl', text: `${text}${value}; }` }, { n }, 'w');
  const first = await get('1.0');
  assert.is(await get('1.0'), first);
  assert.is.not(await get('2.0'), first);
  assert.is.not(await get('1.0', 1), first);
  assert.is(await get('1.0'), first);
  for (let n = 2; n < 6; n++) {
    await get('1.0', n);
    assert.is(await get('1.0'), first, 'what is used stays');
  }
  assert.is(pipelines.count, 3);
});

test.run();
