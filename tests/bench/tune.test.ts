// The tuner on planted candidates: what is wrong, does not compile or does not end never wins, and what is twice as slow
// neither; what was measured once is not measured again.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordedShape } from '../../bench/shapes.ts';
import { tune, tuneFirstLoad } from '../../bench/tune.ts';
import emoji from '../../checkpoints/emoji/config.json';
import type { Device } from '../../engine/device.ts';
import { shapeClass, Tuning, type TuningStore } from '../../engine/tuning.ts';
import { hardwareDevice, run, device as software, tensor } from '../gpu.ts';

/** y = 2 x, a thread an element, `rounds` times over. */
const doubling = (factor: string, rounds: number): string =>
  `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Shape { count: u32 }
@group(0) @binding(2) var<uniform> shape: Shape;
@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  var v = x[id.x];
  for (var i = 0u; i < ${rounds}u; i++) {
    v = fract(v * 1.000001 + f32(i & shape.count) * 1e-9);
  }
  if (id.x < shape.count) {
    y[id.x] = ${factor} * x[id.x] + select(0.0, v, v > 9.0);
  }
}`;
const count = 1 << 12,
  sources = {
    slow: doubling('2.0', 400),
    fast: doubling('2.0', 4),
    wrong: doubling('2.5', 1),
    broken: 'fn main( {',
    endless: doubling('2.0', 400_000),
  };

const store = (): TuningStore & { texts: string[] } => {
  const texts: string[] = [];
  return { texts, load: async () => texts.at(-1), save: async (_, text) => void texts.push(text) };
};

/** That kernel's shape with some of the candidates above, the first by rule. */
async function planted(device: Device, variants: (keyof typeof sources)[]): Promise<RecordedShape> {
  const x = tensor('f32', [1, count], new Float32Array(count).fill(0.25), device),
    y = tensor('f32', [1, count], [], device);
  const candidates = variants.map((variant) => ({
    variant,
    source: { file: `${variant}.wgsl`, text: sources[variant] },
    constants: {},
    workgroups: [count / 32] as [number],
    uniforms: [count],
  }));
  const [first] = candidates,
    dispatch = { ...first, name: 'doubling', label: 'doubling', part: '', read: [x], write: [y], shape: { count } };
  return { model: 'planted', dispatch, candidates, calls: 1, contents: new Map(), weights: new Set() };
}

const shapes = shapeClass({ count });

test('the fastest of the right ones wins; what fails is struck out with its reason', async () => {
  const device = await hardwareDevice(),
    kept = store(),
    shape = await planted(device, ['slow', 'broken', 'wrong', 'fast']);
  const [tuned] = await tune(device, 'here', [shape], { store: kept });
  assert.is(tuned.variant, 'fast');
  assert.is(tuned.rule, 'slow');
  assert.equal(Object.keys(tuned.struck).sort(), ['broken', 'wrong']);
  assert.is(device.tuning.pick('doubling', shapes, shape.candidates), 3);

  // A second start measures nothing and chooses the same.
  const next = await hardwareDevice();
  next.tuning.fromText(await kept.load('here'));
  assert.equal(await tune(next, 'here', [shape], { store: kept }), []);
  assert.is(next.tuning.pick('doubling', shapes, shape.candidates), 3);
  // Another shader of that name is not what was measured.
  const changed = shape.candidates.map((c) =>
    c.variant === 'fast' ? { ...c, source: { ...c.source, text: `// changed\n${sources.fast}` } } : c,
  );
  assert.is(next.tuning.pick('doubling', shapes, changed), 0);
  for (const broken of ['', '{', 'null', '{"format":0}', '{"format":1,"measured":3,"struck":[]}']) {
    const tuning = new Tuning('');
    tuning.fromText(broken);
    assert.is(tuning.size, 0);
  }
});

test('what is twice as slow does not take the place of the rule, nor does what is only as fast', async () => {
  const device = await hardwareDevice();
  const [tuned] = await tune(device, 'here', [await planted(device, ['fast', 'slow'])], { store: store() });
  assert.is(tuned.variant, 'fast');
});

test('what does not end is given up, and a start after that does without it', async () => {
  const device = await hardwareDevice(),
    kept = store(),
    shape = await planted(device, ['fast', 'endless']);
  const error = await tune(device, 'here', [shape], { store: kept, patience: 50 }).then(
    () => undefined,
    (e: Error) => e,
  );
  assert.match(error?.message ?? '', /doubling endless does not end/);
  const next = await hardwareDevice();
  next.tuning.fromText(await kept.load('here'));
  const [tuned] = await tune(next, 'here', [await planted(next, ['fast', 'endless'])], { store: kept });
  assert.is(tuned.variant, 'fast');
});

test('a choice that does not compile today falls back to the rule', async () => {
  const device = await hardwareDevice(),
    shape = await planted(device, ['slow', 'broken']);
  device.tuning.choose('doubling', shapes, shape.candidates[1]);
  const { dispatch, candidates } = shape,
    y = await run((p) => {
      p.operation({ ...dispatch, candidates });
      return dispatch.write[0];
    }, device);
  assert.ok(y.every((v) => v === 0.5));
});

test("a GPU's first load of a model measures for a while, once; a second start, and software, not at all", async () => {
  const begun: string[] = [],
    kept = store(),
    patience = 60_000; // this GPU is a software adapter, which may compile for more than the 5 s that a GPU gets
  const load = async (on: Device, name: string, signal?: AbortSignal) => {
    on.tuning.fromText(await kept.load('here'));
    const start = performance.now();
    await tuneFirstLoad(on, 'here', emoji, {
      store: kept,
      seconds: 1,
      patience,
      signal,
      onBegin: () => begun.push(name),
    });
    return (performance.now() - start) / 1000;
  };
  assert.ok((await load(software, 'software')) < 0.5);
  assert.equal(kept.texts, []);
  const first = await hardwareDevice(),
    took = await load(first, 'first');
  assert.ok(took < 30, `${took} s`); // one second, on a machine that this test has for itself
  await first.queue.idle(); // it goes on
  assert.ok((await load(await hardwareDevice(), 'second')) < 0.5);
  assert.equal(begun, ['first']);
  const other = await hardwareDevice();
  await tuneFirstLoad(other, 'there', emoji, {
    store: store(),
    signal: AbortSignal.abort(),
    onBegin: () => begun.push('skipped'),
  });
  assert.is(other.tuning.size, 0);
  assert.equal(begun, ['first', 'skipped']);
});

test.run();
