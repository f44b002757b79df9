import type { Command } from 'commander';
import { MMARError } from '../../base/error.ts';
import { type TraceTensors, traceSettings } from '../../model/trace.ts';
import { traceParts } from '../../model/variants/index.ts';
import { traceTrain, trainTraceSettings } from '../../training/trace.ts';
import { type Comparison, compareOutputs, compareTraining } from '../compare.ts';
import { usage } from '../errors.ts';
import { checkOutput, readTensors, writeTensors } from '../files.ts';
import { type CommonOptions, option, real, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { withModel } from '../session.ts';

interface Options extends CommonOptions {
  in: string;
  out?: string;
  compare?: boolean;
  tolerance?: number;
}

const parts = [...traceParts, 'train'];
const settings = [...traceSettings, ...trainTraceSettings];

const help = `
Parts: ${parts.join(', ')}. Inputs and outputs: docs/trace.md.
Settings: ${settings.join(', ')}; those not given come from IN's metadata. --set takes both these and values of config.json.
With --compare it exits 1 where an output is off: with f32 by more than --tolerance (ids must be equal); with bf16 by
more than 1.5 times the reference's own bf16 error, where IN has it, and but for generate, where errors multiply.

Examples:
  mmar trace decode --in case.safetensors --out out.safetensors
  mmar trace sample --in case.safetensors --set steps=20 eta=1 --precision f32 --compare`;

export function addTrace(program: Command): void {
  withCommon(
    program
      .command('trace')
      .description('Run one part of the graph on tensors from a file.')
      .argument('<part>', 'which part'),
  )
    .addOption(option('--in <file>', 'safetensors file with the inputs', someText).makeOptionMandatory())
    .addOption(option('--out <file>', 'safetensors file to write; needed unless --compare is given', someText))
    .option('--compare', 'compare with the tensors expect.NAME (float32) and expect_bf16.NAME of IN')
    .addOption(
      option('--tolerance <x>', 'the relative RMS error that --compare lets pass (default: 1e-4 with f32)', real(0)),
    )
    .addHelpText('after', help)
    .action(trace);
}

/** Settings of the part, and, with a dot in their name, values of config.json. */
function splitSettings(all: Record<string, string> = {}): {
  own: Record<string, string>;
  config?: Record<string, string>;
} {
  const ofConfig = (key: string) => key.includes('.') || key === 'image_tokens';
  for (const [key, value] of Object.entries(all)) {
    if (!ofConfig(key) && !settings.includes(key))
      throw usage(
        `--set ${key}=${value} is no setting; give key=value, with a key of ${settings.join(', ')}, or of config.json`,
      );
  }
  const pick = (wanted: boolean) => Object.fromEntries(Object.entries(all).filter(([key]) => ofConfig(key) === wanted)),
    config = pick(true);
  return { own: pick(false), config: Object.keys(config).length ? config : undefined };
}

async function trace(part: string, options: Options): Promise<void> {
  if (!parts.includes(part)) throw usage(`there is no part ${JSON.stringify(part)}; give one of ${parts.join(', ')}`);
  if (!options.out && !options.compare) throw usage('trace has nowhere to put the result; give --out or --compare');
  if (options.out) checkOutput(options.out, '.safetensors');
  const { own, config } = splitSettings(options.set),
    { tensors, metadata } = await readTensors(options.in);
  if (options.compare && ![...tensors.keys()].some((name) => name.startsWith('expect.')))
    throw new MMARError('file', `${options.in} has no tensor expect.NAME to compare with; run it without --compare`);

  await withModel({ ...options, set: config, learns: part === 'train' }, async ({ model, progress }) => {
    progress.busy(part);
    const start = performance.now(),
      outputs = await (part === 'train'
        ? traceTrain(model, tensors, { ...metadata, ...own })
        : model.trace(part, tensors, { ...metadata, ...own })),
      seconds = secondsSince(start);
    progress.stop();
    if (options.out) await writeTensors(options.out, outputs, { ...metadata, ...own, part });
    const shapes = Object.fromEntries([...outputs].map(([name, { shape }]) => [name, shape]));
    const compare = () =>
      part === 'train'
        ? compareTraining(outputs, tensors, options, Number(metadata.bf16_grad_error))
        : compareOutputs(outputs, tensors, rule(part, options));
    const comparison = options.compare ? compare() : undefined;
    if (options.json)
      console.log(
        JSON.stringify({ part, file: options.out, precision: options.precision, seconds, outputs: shapes, comparison }),
      );
    else
      console.log(
        [
          ...lines(outputs, comparison),
          `${part} in ${options.precision}: ${seconds.toFixed(2)} s${options.out ? `, ${options.out}` : ''}`,
        ].join('\n'),
      );
    const wrong = Object.entries(comparison ?? {})
      .filter(([, { passed }]) => !passed)
      .map(([name]) => name);
    if (wrong.length)
      throw new MMARError(
        'checkpoint',
        `trace ${part}: ${wrong.join(', ')} is off by more than allowed; see the figures above`,
      );
  });
}

/** What `--compare` lets pass. */
function rule(part: string, { precision, tolerance }: Options) {
  if (precision === 'f32' || tolerance !== undefined)
    return { tolerance: tolerance ?? 1e-4, sameIds: precision === 'f32' };
  return { referenceFactor: part === 'generate' ? undefined : 1.5, sameIds: false };
}

function lines(outputs: TraceTensors, comparison: Record<string, Comparison> = {}): string[] {
  return [...new Set([...outputs.keys(), ...Object.keys(comparison)])].flatMap((name) => {
    const shape = outputs.get(name)?.shape ?? [];
    const { against = {}, reference, passed, note } = comparison[name] ?? {};
    const figures = Object.entries(against).map(
      ([other, { max, rms }]) =>
        `  against ${other}: greatest difference ${max.toExponential(2)}, relative RMS ${rms.toExponential(2)}`,
    );
    if (reference !== undefined)
      figures.push(`  expect_bf16 itself against expect: relative RMS ${reference.toExponential(2)}`);
    return [
      `${name} [${shape.join(', ')}]${passed === undefined ? '' : passed ? ': within bounds' : ': OFF'}${note ? ` (${note})` : ''}`,
      ...figures,
    ];
  });
}
