// biome-ignore-all lint/suspicious/noTemplateCurlyInString: constants of shaders are written so
// What goes wrong on a device becomes one typed error that names the operation.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import type { Program } from '../../engine/program.ts';
import { packRows, unpackRows } from '../../engine/tensor.ts';
import { add } from '../../shaders/add.ts';
import { scale } from '../../shaders/scale.ts';
import { device, numbers, smallDevice, tensor } from '../gpu.ts';

async function failure(work: () => unknown): Promise<MMARError> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, MMARError);
    assert.not.match((error as Error).message, /\n/);
    return error as MMARError;
  }
  throw new Error('nothing was thrown');
}

test('bf16 and f32 rows survive packing, and padding is zero', () => {
  for (const type of ['bf16', 'f32'] as const) {
    const values = numbers(15, 'bf16'),
      packed = packRows(type, 5, values);
    assert.is(packed.byteLength, 3 * 8 * (type === 'bf16' ? 2 : 4));
    assert.equal([...unpackRows(type, 3, 5, packed.buffer)], [...values]);
    assert.equal(
      [...unpackRows(type, 3, 8, packed.buffer)].filter((_, i) => i % 8 > 4),
      Array(9).fill(0),
    );
  }
});

test('a tensor over the binding limit lies in pieces and reads back whole', async () => {
  const small = await smallDevice(1024),
    values = numbers(100 * 7);
  const t = small.tensor('wide', 'f32', [100, 7]);
  assert.ok(t.pieces.length > 3 && t.pieces.every(({ rows }) => rows * t.rowBytes <= 1024));
  small.write(t, packRows('f32', 7, values));
  assert.equal([...(await small.read(t))], [...values]);
  const some = numbers(50 * 7, 'f32', 2);
  small.write(t, packRows('f32', 7, some), 37);
  assert.equal([...(await small.read(t))], [...values.slice(0, 37 * 7), ...some, ...values.slice(87 * 7)]);
  assert.match((await failure(() => t.buffer)).message, /wide \[100,7\] takes \d+ bytes, .* choose another adapter/);
  assert.match(
    (await failure(() => small.record('large', (p) => void p.tensor('wide', 'f32', [100, 7])))).message,
    /wide \[100,7\] takes 0\.0 MB and this adapter binds 0\.0 MB at once; take fewer/,
  );
  assert.match(
    (await failure(() => small.tensor('row', 'f32', [2, 1000]))).message,
    /row: a row takes 4000 bytes, the adapter binds 1024/,
  );
  small.destroy();
  const narrow = await smallDevice(224); // seven rows of it
  const pieces = narrow.tensor('narrow', 'f32', [10, 7]).pieces;
  assert.equal(
    pieces.map(({ firstRow, rows }) => [firstRow, rows]),
    [
      [0, 4],
      [4, 4],
      [8, 2],
    ],
    'whole quads of rows',
  );
  narrow.destroy();
});

test('a shader that does not compile is an error that names it and the line', async () => {
  const broken = { file: 'my.wgsl', text: '#for i in 2\n// #i\n#endfor\n#if ${tile}\nfn main( {\n#endif\n' };
  const error = await failure(() =>
    device.record('broken', (p) =>
      p.operation({
        name: 'broken kernel',
        source: broken,
        constants: { tile: 3 },
        read: [],
        write: [tensor('f32', [4], [1, 2, 3, 4])],
        uniforms: [],
        workgroups: [1],
      }),
    ),
  );
  assert.is(error.code, 'device');
  assert.match(error.message, /shader broken kernel \{"tile":3\} does not compile: my\.wgsl:5: /);
  device.check();
});

test('too many workgroups are refused with the number', async () => {
  const most = device.limits.maxComputeWorkgroupsPerDimension;
  const error = await failure(() =>
    device.record('huge', (p) =>
      p.operation({
        name: 'huge kernel',
        source: { file: 'huge.wgsl', text: '' },
        constants: {},
        read: [],
        write: [],
        uniforms: [],
        workgroups: [most + 1],
      }),
    ),
  );
  assert.match(error.message, new RegExp(`huge kernel: ${most + 1} workgroups, the adapter takes ${most}`));
});

test('a lost device and a closed one are errors from then on', async () => {
  const lost = await smallDevice(Infinity);
  lost.gpu.destroy(); // as the system may do at any time
  await lost.gpu.lost;
  const error = await failure(() => lost.queue.idle());
  assert.is(error.code, 'device');
  assert.match(error.message, /lost .*load the model again/);
  assert.match((await failure(() => lost.tensor('t', 'f32', [1]))).message, /lost/);

  const closed = await smallDevice(Infinity);
  closed.destroy();
  assert.match((await failure(() => closed.queue.idle())).message, /closed/);
});

test('a validation error names what was used wrongly', async () => {
  const other = await smallDevice(Infinity);
  const t = other.tensor('thing', 'f32', [4]);
  other.gpu.queue.writeBuffer(t.buffer, 12, new Uint8Array(16));
  const error = await failure(() => other.queue.idle());
  assert.is(error.code, 'device');
  assert.match(error.message, /thing/);
  other.destroy();
});

test('an aborted signal stops a wait', async () => {
  const error = await failure(() => device.queue.idle(AbortSignal.abort()));
  assert.is(error.code, 'cancelled');
});

test('a program replays without new memory, and its scratch serves the next program', async () => {
  const x = tensor('f32', [64, 64], numbers(4096)),
    y = device.tensor('y', 'f32', [64, 64]);
  const chain = (factor: number): Promise<Program> =>
    device.record('chain', (p) => {
      let h = x;
      for (let i = 0; i < 10; i++) h = scale(p, h, factor);
      p.operation({ ...p.dispatches[0], read: [h], write: [y] });
    });
  const first = await chain(2),
    { held } = device.memory,
    pipelines = device.pipelines.count;
  for (let i = 0; i < 50; i++) await device.queue.run(first);
  await device.queue.idle();
  assert.is(device.memory.held, held);
  const second = await chain(0.5);
  assert.ok(device.memory.held - held <= 16 * 256, `${device.memory.held - held} bytes more: its parameters alone`);
  assert.is(device.pipelines.count, pipelines);
  await device.queue.run(second);
  const want = numbers(4096).map((v) => v * 2 ** -10 * 0.5);
  assert.equal([...(await device.read(y))], [...want]);
});

test('what leads to nothing that lasts is left out, and nothing else', async () => {
  const [x, y, z] = [1, 2, 3].map((seed) => tensor('f32', [5], numbers(5, 'f32', seed)));
  const before = [...(await device.read(z))];
  let names: string[] = [];
  const program = await device.record('prune', (p) => {
    const sum = add(p, x, y);
    add(p, add(p, sum, x), y); // read by nothing
    add(p, z, sum, z);
    add(p, sum, x, sum); // read by nothing behind it
    p.prune();
    names = p.dispatches.map(({ write }) => write[0].name);
  });
  await device.queue.run(program);
  assert.is(names.length, 2);
  const [a, b] = [await device.read(x), await device.read(y)];
  assert.equal(
    [...(await device.read(z))],
    before.map((at, i) => Math.fround(at + Math.fround(a[i] + b[i]))),
  );
  program.destroy();
});

test('a long program stops in the middle when its signal says so, and the next one is right', async () => {
  const x = tensor('f32', [2048, 2048], numbers(1 << 22));
  const record = (times: number): Promise<Program> =>
    device.record('long', (p) => {
      let h = x;
      for (let i = 0; i < times; i++) h = scale(p, h, 1);
    });
  const [few, long] = [await record(20), await record(4000)];
  await device.queue.idle();
  const start = performance.now();
  await device.queue.run(few);
  await device.queue.idle();
  const fewEnded = performance.now();
  const stop = new AbortController(),
    error = failure(() => device.queue.run(long, stop.signal)),
    short = device.evaluate('short', (p) => ({ y: scale(p, tensor('f32', [1, 4], [1, 2, 3, 4]), 3) }));
  setTimeout(() => stop.abort(), 50);
  assert.is((await error).code, 'cancelled');
  const [ran, stopped] = [fewEnded - start, performance.now() - fewEnded];
  assert.ok(stopped < 20 * ran, `20 of its 4000 dispatches took ${ran} ms, to stop it ${stopped} ms`);
  assert.equal([...(await short).y], [3, 6, 9, 12]);
  few.destroy();
  long.destroy();
});

(device.software ? test : test.skip)(
  'the processor is left to a software adapter while its work is awaited',
  async () => {
    let x = tensor('f32', [1024, 1024], numbers(1 << 20));
    const program = await device.record('long', (p) => {
      for (let i = 0; i < 400; i++) x = scale(p, x, 1);
    });
    let turns = 0,
      working = true;
    const count = (): void => {
      turns++;
      if (working) setImmediate(count);
    };
    const start = performance.now();
    count();
    await device.queue.run(program);
    await device.queue.idle();
    working = false;
    const ms = performance.now() - start;
    assert.ok(ms > 50, `the work took ${ms} ms`);
    assert.ok(turns < 100 + 5 * ms, `${turns} turns of the event loop in ${ms} ms`);
    program.destroy();
  },
);

test.run();
