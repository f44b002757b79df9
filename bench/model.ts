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
import { availableMemory } from '../platform/memory.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';
import { drawingOf, TextRun } from './workload.ts';

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

if (!values.model) {
  console.error('mmar: no checkpoint is given to be timed; give --model DIR');
  process.exit(2);
}
const place = values.model,
  { adapter, name } = await nodeAdapter(values.adapter),
  device = await Device.open(adapter);
const settings = values.set.reduce<Record<string, string>>((before, text) => addSetting(text, before), {});
const checkpoint = await openComposed({ model: place, set: values.set.length ? settings : undefined });
if (!values.json) console.log(`${name}\n${''.padEnd(46)}  time     device peak  process peak`);

const { model, weights } = await load();
if (only.includes('prefill') || only.includes('decode')) await text();
if (only.includes('step') || only.includes('picture')) await drawing();
if (values.json) console.log(JSON.stringify(whole(), undefined, 1));
process.exit(0);

/** Loads the model; with `load` beside reading its files alone. */
async function load(): Promise<{ model: MMAR; weights: number }> {
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
  const alone = `reading alone, ${values.cold ? 'from the disk' : 'from the cache'}, ${compared.join(', ')}; `;
  report({
    what: 'load',
    seconds,
    devicePeak: peak,
    processPeak: processPeak(),
    note: `${(weights / 1e6 / seconds).toFixed(0)} MB/s; ${measured ? alone : ''}host beyond the weights ${mb(processPeak() - base - weights).trim()} MB`,
  });
  return { model, weights };
}

/** Reads 512 tokens of text and decodes 32 behind them. */
async function text(): Promise<void> {
  const run = new TextRun(model, 512, 33),
    prefill = () => run.prefill();
  if (only.includes('prefill')) {
    await timed('text prefill, 512 tokens, first run', prefill, 'with recording and compiling');
    await timed('text prefill, 512 tokens', prefill);
  } else await prefill();
  if (only.includes('decode')) {
    await run.decode(2); // compiles
    await timed('32 decoded tokens', () => run.decode(33), 'after 512 tokens');
  }
  await run.release();
}

/** Two steps of a picture, or with `picture` all of it. */
async function drawing(): Promise<void> {
  const iterations = Number(values.iterations),
    settings = { ...model.defaults, iterations, cfg: 3 },
    start = performance.now();
  let last = start,
    steps = 0;
  for await (const step of model.draw(drawingOf(model, 1), settings)) {
    await device.queue.idle();
    steps++;
    if (steps <= 2) {
      const first = steps === 1 ? ', with prefill, recording and compiling' : '',
        note = `${step.drawn.length} tokens × ${settings.steps} diffusion steps${first}`;
      reportNow(`masked-AR step ${steps} of ${iterations}, both branches`, since(last), note);
    }
    last = performance.now();
    if (steps === 2 && !only.includes('picture')) return;
  }
  const { image_tokens, image_tokenizer } = model.config;
  await model.decode({ tokens: new Float32Array(image_tokens * image_tokenizer.embed_dim) });
  reportNow(`a whole picture, ${iterations} steps, decoded`, since(start));
}

/** All that was found, for `--json`. */
function whole(): object {
  const sizes = [...checkpoint.tensors.values()].map(({ entry }) => entry.shape.reduce((a, b) => a * b, 1)),
    parameters = sizes.reduce((a, b) => a + b, 0);
  return { adapter: name, model: path.basename(place), parameters, weights, rows };
}

function weightFiles({ tensors }: Checkpoint): string[] {
  return [...new Set([...tensors.values()].map(({ file }) => path.join(place, file)))];
}

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
async function timed(what: string, run: () => Promise<void>, note?: string): Promise<void> {
  const start = performance.now();
  await run();
  await device.queue.idle();
  reportNow(what, since(start), note);
}

function reportNow(what: string, seconds: number, note?: string): void {
  report({ what, seconds, devicePeak: device.memory.peak, processPeak: processPeak(), note });
}
