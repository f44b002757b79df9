// A training step of the carried model: forward, backward, the optimiser's, and the same in PyTorch.
import { parseArgs } from 'node:util';
import { openComposed } from '../cli/checkpoint.ts';
import { Device } from '../engine/device.ts';
import type { Dispatch, Program } from '../engine/program.ts';
import { loadMMAR } from '../model/mmar.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';
import { Batches } from '../training/batch.ts';
import { drawExample, drawNoise } from '../training/examples.ts';
import { graphOf } from '../training/graph_of.ts';
import { chooseLearned } from '../training/learned.ts';
import { Optimiser } from '../training/optimiser.ts';
import { trainingSettings } from '../training/settings.ts';
import { Trainer } from '../training/trainer.ts';
import { median } from './measure.ts';
import { openTorch } from './peers/torch.ts';
import { Stopwatch } from './stopwatch.ts';

const { values } = parseArgs({
  options: {
    adapter: { type: 'string' },
    precision: { type: 'string', default: 'bf16' },
    batch: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '7' },
    python: { type: 'string', default: '/usr/bin/python3' },
    profile: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const folder = 'checkpoints/emoji',
  precision = values.precision as 'bf16' | 'f32',
  batchSize = Number(values.batch),
  settings = trainingSettings({ batch: batchSize, micro_batch: batchSize });

const { adapter, name } = await nodeAdapter(values.adapter),
  device = await Device.open(adapter),
  programs: Program[] = [],
  record = device.record.bind(device);
// Every program is known to the profile.
device.record = async (...args) => {
  const program = await record(...args);
  if (!program.name.startsWith('begin')) programs.push(program); // that one is gone once it has run
  return program;
};
const model = await loadMMAR(await openComposed({ model: folder }), { device, precision, learns: true }),
  { system } = model,
  { image_tokens, image_tokenizer } = system.config;

// Half of the examples are drawn, half are read; what they show does not matter.
const items = ['red triangle', 'blue square', 'green half moon', 'grey checks'].map((text, i) => ({
  tokens: drawNoise(1, 0, i, image_tokens * image_tokenizer.embed_dim),
  texts: [text],
  questions: [{ question: 'What is this?', answer: text }],
}));
const batches = new Batches(settings, system.config, await model.tokenizer(), { items }),
  examples = Array.from({ length: batchSize }, (_, i) => {
    const reads = i % 2;
    return drawExample(
      { ...settings, understanding: reads, conditional: 1 - reads, unconditional: 0 },
      { items },
      0,
      i,
    );
  }),
  batch = batches.of(examples, 0);
const optimiser = new Optimiser(device, chooseLearned(system.weights, 'paper', system.config), settings),
  trainer = new Trainer(
    device,
    await graphOf(device, system, settings.draws),
    optimiser,
    batches,
    settings.text_weight,
  );
await optimiser.begin();

/** Seconds of some work until the queue is empty. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  await device.queue.idle();
  return (performance.now() - start) / 1000;
}
let n = 0;
const inRow = 4;
/** Steps as a run makes them: examples are drawn for each, and what it tells is read a step late. */
async function steps(count: number): Promise<void> {
  let before: Promise<unknown> | undefined;
  for (let i = 0; i < count; i++) {
    await trainer.gradients(batches.of(examples, 0));
    const { report } = await trainer.update(n++, settings.lr);
    await before;
    before = report;
  }
  await before;
}
const parts = {
  forward: () => trainer.losses(batch),
  gradients: () => trainer.gradients(batch),
  update: () => trainer.update(n++, settings.lr),
  step: () => steps(1),
  [`${inRow} steps in a row`]: () => steps(inRow),
};

interface Peer {
  torch: string;
  losses: Record<'f32' | 'bf16', number[]>;
}

const losses = await trainer.losses(batch),
  peer = await openTorch<Peer>(values.python, 'train.py', folder, { ...batch, settings });
for (const part of Object.values(parts)) await timed(part); // compiles
for (const type of peer ? ['f32', 'bf16'] : []) await peer!.ask(`step ${type}`);

const seconds: Record<string, number[]> = {};
const note = (what: string, value: number) => {
  seconds[what] = [...(seconds[what] ?? []), value];
};
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [part, work] of Object.entries(parts)) note(part, await timed(work));
  for (const type of peer ? ['f32', 'bf16'] : []) {
    for (const what of ['forward', 'step']) note(`torch ${type} ${what}`, Number(await peer!.ask(`${what} ${type}`)));
  }
}
const middle = Object.fromEntries(Object.entries(seconds).map(([what, all]) => [what, median(all)])),
  backward = middle.gradients - middle.forward;
const result = {
  adapter: name,
  precision,
  batch: batchSize,
  losses,
  torch: peer?.first,
  seconds: middle,
  backward_to_forward: backward / middle.forward,
  row_to_programs: middle[`${inRow} steps in a row`] / (inRow * (middle.gradients + middle.update)),
  to_torch: peer && middle.step / Math.min(middle['torch f32 step'], middle['torch bf16 step']),
};
if (values.json) console.log(JSON.stringify(result, undefined, 1));
else {
  const ms = (s: number) => `${(1000 * s).toFixed(0).padStart(6)} ms`;
  console.log(`${name}, ${precision}, ${batchSize} examples a step, the middle of ${values.rounds} in turns`);
  for (const [what, s] of Object.entries(middle)) console.log(`${what.padEnd(20)}${ms(s)}`);
  console.log(`backward / forward ${result.backward_to_forward.toFixed(2)}`);
  console.log(`steps in a row take ${result.row_to_programs.toFixed(2)} of their programs alone`);
  if (peer) {
    const told = peer.first.losses.f32.map((loss) => loss.toFixed(4)).join(', ');
    console.log(
      `losses ${losses.loss_image.toFixed(4)}, ${losses.loss_text.toFixed(4)}; PyTorch ${peer.first.torch}: ${told}`,
    );
    console.log(`a step takes ${result.to_torch!.toFixed(2)} times the faster of PyTorch's`);
  } else console.log(`no PyTorch to compare with: ${values.python} does not import torch`);
}
if (values.profile) await profile();
peer?.close();
process.exit(peer && !agree(peer.first.losses) ? 1 : 0);

/** Each kernel of the training programs alone, a line a shape, its dispatches one after another; of products also their rate. */
async function profile(): Promise<void> {
  const watch = await Stopwatch.open(device);
  for (const program of programs) {
    const byKernel = new Map<string, typeof program.steps>();
    for (const step of program.steps) {
      const key = kernelOf(step.dispatch);
      byKernel.set(key, [...(byKernel.get(key) ?? []), step]);
    }
    const rows = [];
    for (const [kernel, steps] of byKernel) {
      clear(program);
      rows.push({ kernel, steps, ms: await watch.time([{ steps } as unknown as Program], 3) });
    }
    const total = rows.reduce((sum, { ms }) => sum + ms, 0);
    if (total < 1) continue;
    console.log(`\n${program.name}: ${total.toFixed(0)} ms`);
    for (const { kernel, steps, ms } of rows.sort((a, b) => b.ms - a.ms).slice(0, 25)) {
      const flops = steps.reduce((sum, { dispatch }) => sum + flopsOf(dispatch), 0),
        rate = flops ? `${(flops / ms / 1e6).toFixed(0).padStart(6)} GFLOP/s` : '';
      console.log(`  ${kernel.padEnd(52)}${String(steps.length).padStart(5)}${ms.toFixed(1).padStart(9)} ms${rate}`);
    }
  }
}

/**
 * Zeros in all that a program reads and writes: of what other kernels left there some would be read as subnormal numbers, for
 * which some CPUs take tens of times as long.
 */
function clear({ steps }: Program): void {
  const used = steps.flatMap(({ dispatch: { read, write } }) => [...read, ...write].flatMap(({ pieces }) => pieces)),
    encoder = device.gpu.createCommandEncoder();
  for (const buffer of new Set(used.map(({ buffer }) => buffer))) if (buffer) encoder.clearBuffer(buffer);
  device.gpu.queue.submit([encoder.finish()]);
}

/** What a line of the profile is about: a kernel, and of a product its sizes, and whether w's rows or columns are summed over. */
function kernelOf({ name, variant, shape, constants }: Dispatch): string {
  const sizes = Object.values(shape).join('×'),
    how = name === 'matmul' ? `${constants.transposed ? ' wᵀ' : ' w'}${constants.accumulate ? ', added' : ''}` : '';
  return [name, variant, sizes].filter(Boolean).join(' ') + how;
}

function flopsOf({ name, shape: { m, k, n } }: Dispatch): number {
  return name === 'matmul' ? 2 * Number(m) * Number(k) * Number(n) : 0;
}

/** Whether both compute the same losses, as near as the precision is. */
function agree(torch: Peer['losses']): boolean {
  const limit = precision === 'f32' ? 1e-4 : 0.03;
  return [losses.loss_image, losses.loss_text].every((loss, i) => Math.abs(loss - torch.f32[i]) < limit * torch.f32[i]);
}
