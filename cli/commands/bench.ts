import fs from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { type Compiled, compileAll } from '../../bench/compile.ts';
import { type ConfigName, configs } from '../../bench/configs.ts';
import type { BenchModel, BenchOptions } from '../../bench/options.ts';
import { summary, tables } from '../../bench/present.ts';
import { runBench } from '../../bench/run.ts';
import { parseSizes, type Sizes } from '../../bench/sizes.ts';
import { findTarget, sourceOf } from '../../bench/target.ts';
import type { Device } from '../../engine/device.ts';
import type { Checkpoint } from '../../loaders/checkpoint.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { dependencies, version } from '../../package.json';
import { availableMemory } from '../../platform/memory.ts';
import { openComposed } from '../checkpoint.ts';
import { say, usage } from '../errors.ts';
import { oneOf, option, someText } from '../options.ts';
import { Progress } from '../progress.ts';
import { withAdapter } from '../session.ts';
import { stopSignal } from '../stop.ts';
import { compareFiles } from './bench_compare.ts';
import { tryOwn } from './bench_own.ts';
import { printTables } from './bench_tables.ts';

const examples = `
What it measures: the adapter's own limits; each kernel at the shapes of the models, with the share of the limit that it
reaches; whole models. Nothing is downloaded.

Examples:
  mmar bench --quick                       two minutes at most
  mmar bench --json > mine.json            all of it, to hand on
  mmar bench --only model --model DIR      a checkpoint's own weights
  mmar bench --only limits                 what the adapter can do
  mmar bench --only matmul --shape 256x1024x4096
  mmar bench --dump matmul --shape 256x1024x4096 > mine.wgsl       or, with its #include, #if and #for: --as-written
  mmar bench --wgsl mine.wgsl --as matmul --shape 256x1024x4096
  mmar bench --compare before.json after.json`;

interface Options {
  adapter?: string;
  only?: string;
  quick?: boolean;
  config?: string;
  model?: string;
  shape: Sizes[];
  compare?: boolean;
  wgsl?: string;
  as?: string;
  dump?: string;
  asWritten?: boolean;
  compileOnly?: boolean;
  variants?: boolean;
  json?: boolean;
  markdown?: boolean;
}

export function addBench(program: Command): void {
  program
    .command('bench')
    .description('Measure a GPU, the kernels on it and the models.')
    .argument('[reports...]', 'with --compare: two reports or more, the first of which the others are compared to')
    .addOption(
      option('--adapter <name>', 'hardware, swiftshader, lavapipe, or a part of a name of mmar adapters', someText),
    )
    .addOption(option('--only <names>', 'limits, kernels, model, or names of kernels, with commas', someText))
    .addOption(
      option(
        '--config <name>',
        `whose figures: ${Object.keys(configs).join(', ')}; weights are made, not loaded`,
        oneOf(...(Object.keys(configs) as ConfigName[])),
      ),
    )
    .addOption(option('--model <place>', 'a checkpoint in place of --config: a folder or a URL', someText))
    .addOption(
      new Option('--shape <MxKxN>', 'a matrix product in place of the models’, any number of times')
        .default([])
        .argParser((text, before: Sizes[]) => [...before, parseSizes('--shape', text)]),
    )
    .option('--quick', 'fewer samples of fewer shapes: two minutes at most')
    .addOption(
      option('--wgsl <file>', 'try a shader of your own in a kernel’s place: is it right, and how fast', someText),
    )
    .addOption(option('--as <kernel>', 'that kernel: matmul, matmul:direct, rms_norm …', someText))
    .addOption(option('--dump <kernel>', 'print that kernel’s source as it is compiled, to start from', someText))
    .option('--as-written', 'with --dump: the source as it is written; --wgsl takes both')
    .option('--compile-only', 'compile every pipeline of the models, one after another, and run none')
    .option('--variants', 'with --compile-only: every other candidate too')
    .option('--compare', 'compare reports in place of measuring')
    .option('--json', 'print the report as JSON')
    .option('--markdown', 'print the report as Markdown')
    .addHelpText('after', examples)
    .action(bench);
}

async function bench(files: string[], options: Options): Promise<void> {
  if (options.compare) return compareFiles(files, options);
  if (files.length) throw usage(`${files[0]} is no option; --compare ${files[0]} compares reports`);
  if (options.dump) return dump(options.dump, options);
  if (options.asWritten) throw usage('--as-written says how --dump prints a kernel; give --dump KERNEL as well');
  if (options.wgsl) return tryOwn(options.wgsl, options);
  if (options.compileOnly) return compileOnly(options);
  if (options.as) throw usage('--as names the kernel in whose place --wgsl stands; give --wgsl FILE as well');
  if (options.model && options.config)
    throw usage('--config names a model with made weights, --model one with its own; give one');
  const progress = new Progress(options.json || options.markdown),
    checkpoint = options.model ? await openComposed({ model: options.model }) : undefined;
  const run = async (device: Device, name: string) =>
    runBench(device, about(name), {
      ...benchOptions(options),
      model: checkpoint && (await given(checkpoint)),
      available: device.software ? availableMemory() : undefined,
      signal: stopSignal,
      onProgress: (what) => progress.busy(what),
    });
  const report = await withAdapter(options.adapter, run, { experimental: true }).finally(() => {
    progress.stop();
    return checkpoint?.source.close();
  });
  if (options.json) console.log(JSON.stringify(report, undefined, 1));
  else printTables(summary(report), tables(report), options.markdown);
}

/** A checkpoint as a model to benchmark. */
async function given(checkpoint: Checkpoint): Promise<BenchModel> {
  return {
    name: path.basename(checkpoint.source.name),
    json: await checkpoint.json('config.json', stopSignal),
    open: (device, signal) =>
      loadMMAR(checkpoint, { device, signal, available: device.software ? availableMemory() : undefined }),
  };
}

async function dump(as: string, { adapter, shape: [shape], config, asWritten }: Options): Promise<void> {
  await withAdapter(adapter, async (device) => {
    const { candidate } = await findTarget(device, { as, shape, config });
    process.stdout.write(sourceOf(candidate, asWritten ? 'written' : 'compiled'));
  });
}

async function compileOnly({ adapter, variants, json }: Options): Promise<void> {
  const begin = (title: string) => {
    fs.writeSync(2, `@@ ${title}\n`);
    if (process.env.GPUC_OUT) fs.appendFileSync(process.env.GPUC_OUT, `@@ ${title}\n`);
  };
  // Told before the device is let go: a driver that runs nothing may take the process with it then.
  const compileEach = async (device: Device) => tellCompiled(await compileAll(device, Boolean(variants), begin), json);
  await withAdapter(adapter, compileEach, { quiet: false, experimental: true });
}

function tellCompiled(compiled: Compiled[], json?: boolean): void {
  const failed = compiled.filter(({ error }) => error);
  if (json) console.log(JSON.stringify(compiled, undefined, 1));
  else console.log(`${compiled.length - failed.length} pipelines compiled, ${failed.length} failed`);
  for (const { title, error } of failed) say(`${title}: ${error}`);
  if (failed.length) process.exitCode = 1;
}

const about = (name: string) => ({
  name,
  runtime: `Node ${process.version.slice(1)}, Dawn (webgpu ${dependencies.webgpu}), ${process.platform} ${process.arch}`,
  version,
});

const benchOptions = ({ only, quick, config, shape }: Options): BenchOptions => ({
  only: only?.split(',') ?? (shape.length ? ['matmul'] : undefined),
  quick,
  config,
  shapes: shape,
});
