// A model at its true size: loading against reading its files, then prefill, decoding and masked-AR steps, with memory.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { addSetting, openComposed } from '../cli/checkpoint.ts';
import { Device } from '../engine/device.ts';
import { Profile } from '../engine/profile.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { loadMMAR, type MMAR } from '../model/mmar.ts';
import { Sequence } from '../model/sequence.ts';
import { availableMemory } from '../platform/memory.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';
import { permutation } from '../shaders/random.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    adapter: { type: 'string' },
    precision: { type: 'string', default: 'bf16' },
    plora: { type: 'string' },
    json: { type: 'boolean', default: false },
    cold: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    set: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', default: 'load,prefill,decode,step' },
    iterations: { type: 'string', default: '64' },
  },
});
const only = values.only.split(',');

interface Row {
  what: string;
  seconds: number;
  /** The device's peak so far, in bytes. */
  devicePeak: number;
  /** The whole process's peak so far (a software adapter's device memory is in it). */
  processPeak: number;
  note?: string;
  /** Seconds on the device of each part, with `--profile`. */
  parts?: Record<string, number>;
}

const rows: Row[] = [];
const since = (start: number) => (performance.now() - start) / 1000;
const processPeak = () => Number(/VmHWM:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024;
const mb = (bytes: number) => (bytes / 1e6).toFixed(0).padStart(7);

const weightFiles = (checkpoint: Checkpoint): string[] => [
  ...new Set([...checkpoint.tensors.values()].map(({ file }) => path.join(values.model!, file))),
];

/** Takes the files out of the system's cache, which any user may: what follows comes from the disk. */
function forget(files: string[]): void {
  for (const file of files)
    execFileSync('dd', [`if=${file}`, 'of=/dev/null', 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
}

/** Reads files and does nothing with them, in a process of its own, whose memory does not count here. */
function readFiles(files: string[], into: 'one' | 'new'): { bytes: number; seconds: number } {
  return JSON.parse(
    execFileSync(
      process.execPath,
      [fileURLToPath(new URL('../../bench/read_files.mjs', import.meta.url)), into, ...files],
      { encoding: 'utf8' },
    ),
  );
}

function report(row: Row): void {
  if (device.queue.profile) row.parts = device.queue.profile.seconds;
  if (values.profile) device.queue.profile = new Profile(device.gpu);
  rows.push(row);
  if (!values.json)
    console.log(
      `${row.what.padEnd(44)} ${row.seconds.toFixed(2).padStart(9)} s ${mb(row.devicePeak)} MB ${mb(row.processPeak)} MB  ${row.note ?? ''}`,
    );
  for (const [part, seconds] of Object.entries(values.json ? {} : (row.parts ?? {})))
    console.log(`  ${part.padEnd(42)} ${seconds.toFixed(2).padStart(9)} s`);
}

/** As the device's own clock has no word in it, everything is timed until the queue is empty. */
async function timed(model: MMAR, what: string, run: () => Promise<void>, note?: string): Promise<void> {
  const start = performance.now();
  await run();
  await model.device.queue.idle();
  report({ what, seconds: since(start), devicePeak: model.device.memory.peak, processPeak: processPeak(), note });
}

if (!values.model) throw new Error('give --model DIR');
const { adapter, name } = await nodeAdapter(values.adapter),
  device = await Device.open(adapter);
const settings = values.set.reduce<Record<string, string>>((before, text) => addSetting(text, before), {});
const checkpoint = await openComposed({ model: values.model, set: values.set.length ? settings : undefined });
if (!values.json) console.log(`${name}\n${''.padEnd(46)}  time     device peak  process peak`);

// What is compared finds the files alike: in the cache, or on the disk.
const files = weightFiles(checkpoint),
  measured = only.includes('load');
const prepare = () => void (values.cold ? forget(files) : readFiles(files, 'one'));
const raw = (measured ? (['one', 'new'] as const) : []).map((into) => {
  prepare();
  return { into, ...readFiles(files, into) };
});
if (measured) prepare();
const base = processPeak(),
  start = performance.now();
const model = await loadMMAR(checkpoint, {
  device,
  precision: values.precision as 'bf16',
  plora: values.plora as 'merged' | undefined,
  available: device.software ? availableMemory() : undefined,
});
const seconds = since(start),
  { weights, peak } = await model.memory();
const compared = raw.map(
  (alone) =>
    `${alone.seconds.toFixed(2)} s into ${alone.into === 'new' ? 'new memory' : 'one buffer'} (ratio ${((alone.seconds / alone.bytes) * (weights / seconds)).toFixed(2)})`,
);
report({
  what: 'load',
  seconds,
  devicePeak: peak,
  processPeak: processPeak(),
  note: `${(weights / 1e6 / seconds).toFixed(0)} MB/s; ${measured ? `reading alone, ${values.cold ? 'from the disk' : 'from the cache'}, ${compared.join(', ')}; ` : ''}host beyond the weights ${mb(processPeak() - base - weights).trim()} MB`,
});

const { llm, config } = model.system,
  L = config.image_tokens;
if (only.includes('prefill') || only.includes('decode')) {
  const text = new Sequence(device, llm, 512 + 64),
    ids = Array.from({ length: 512 }, (_, i) => (i * 7919) % llm.vocab_size),
    greedy = { temperature: 0, top_p: 1, seed: 1, max_new_tokens: 33, eosIds: [] };
  const prefill = async () => {
    text.forget();
    await text.read([{ ids }], { next: greedy });
  };
  if (only.includes('prefill')) {
    await timed(model, 'text prefill, 512 tokens, first run', prefill, 'with recording and compiling');
    await timed(model, 'text prefill, 512 tokens', prefill);
  } else await prefill();
  if (only.includes('decode')) {
    const decode = async (count: number) => {
      for await (const _ of text.decode({ ...greedy, max_new_tokens: count }));
    };
    await decode(2); // compiles
    await timed(model, '32 decoded tokens', () => decode(33), 'after 512 tokens');
  }
  await text.release();
}
if (only.includes('step') || only.includes('picture')) {
  const iterations = Number(values.iterations),
    all = { ...model.defaults, iterations, cfg: 3 },
    words = Array.from({ length: 24 }, (_, i) => i + 1);
  const input = {
      before: words,
      uncond: words.slice(0, 12),
      pictures: [{ order: permutation(L, 1), chance: { seed: 1 } }],
    },
    whole = only.includes('picture');
  let last = performance.now(),
    stepNumber = 0,
    total = performance.now();
  for await (const step of model.draw(input, all)) {
    await device.queue.idle();
    stepNumber++;
    if (stepNumber <= 2)
      report({
        what: `masked-AR step ${stepNumber} of ${iterations}, both branches`,
        seconds: since(last),
        devicePeak: device.memory.peak,
        processPeak: processPeak(),
        note: `${step.drawn.length} tokens × ${all.steps} diffusion steps${stepNumber === 1 ? ', with prefill, recording and compiling' : ''}`,
      });
    last = performance.now();
    if (stepNumber === 2 && !whole) break;
  }
  if (whole) {
    await model.decode({ tokens: new Float32Array(L * config.image_tokenizer.embed_dim) });
    report({
      what: `a whole picture, ${iterations} steps, decoded`,
      seconds: since(total),
      devicePeak: device.memory.peak,
      processPeak: processPeak(),
    });
  }
}
if (values.json)
  console.log(
    JSON.stringify(
      {
        adapter: name,
        model: path.basename(values.model),
        parameters: [...checkpoint.tensors.values()].reduce(
          (sum, { entry }) => sum + entry.shape.reduce((a, b) => a * b, 1),
          0,
        ),
        weights,
        rows,
      },
      undefined,
      1,
    ),
  );
process.exit(0);
