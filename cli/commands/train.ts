import fs from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type Command, Option } from 'commander';
import { MMARError } from '../../base/error.ts';
import { Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { readConfig } from '../../model/mmar.ts';
import { withSettings } from '../../model/overrides.ts';
import { randomCheckpoint } from '../../model/random_weights.ts';
import { makeFolder } from '../../platform/folder.ts';
import { availableMemory } from '../../platform/memory.ts';
import { nodePlatform, writeFileWhole } from '../../platform/node.ts';
import { type Entry, encodeEntries, readMetadata } from '../../training/data.ts';
import { wordsOf } from '../../training/examples.ts';
import type { Learn } from '../../training/learned.ts';
import { mustRecompute, planTraining } from '../../training/plan.ts';
import { rehearse } from '../../training/rehearsal.ts';
import { type Data, TrainingRun } from '../../training/run.ts';
import { settingRanges, type TrainingSettings, trainingSettings } from '../../training/settings.ts';
import { openComposed } from '../checkpoint.ts';
import { say, usage } from '../errors.ts';
import { writePicture } from '../files.ts';
import { snakeKeys } from '../json.ts';
import { type CommonOptions, count, oneOf, option, real, someText, withCommon } from '../options.ts';
import { megabytes, secondsSince, table } from '../progress.ts';
import { type Opened, type Session, withDevice, withModel } from '../session.ts';
import { stopSignal, unfinished } from '../stop.ts';
import { type Saved, TrainingFolder } from '../training_files.ts';
import { copiedTokenizer, readConfigFile } from './init.ts';

interface Options extends CommonOptions {
  out?: string;
  plan?: boolean;
  recompute?: boolean;
  memory?: number;
  stage?: string;
  learn?: string[];
  config?: string;
  resume?: boolean;
  fromScratch?: string;
  save?: Saved;
  heldOut: number;
  rehearse: number;
  known?: string;
  saveEvery: number;
  saveMinutes: number;
  sampleEvery: number;
  sample?: string[];
  [setting: string]: unknown;
}

const examples = `
DATA is a folder of pictures with a metadata.jsonl, a line for each picture: {"file_name": "1.png", "text": "a red circle"};
text may be a list; question and answer, lists of one length, stand for "What is this?" and text.

--out holds log.jsonl, loss.svg, the samples, state.safetensors (for --resume) and patch.safetensors: what was learned, for
--patch of every other command.

Examples:
  mmar train pictures --out run
  mmar train pictures --out run --steps 400 --rehearse 96 --sample "red circle"
  mmar train pictures --out run --resume
  mmar train pictures --plan --micro-batch 1
  mmar generate "red circle" --patch run/patch.safetensors`;

/** Settings as options: `weight_decay` is --weight-decay. */
const flags = Object.entries(settingRanges).map(([key, { least, most, whole, help }]) => {
  const parse = whole ? count(least, most) : real(least, most);
  return { key: key as keyof TrainingSettings, made: option(`--${key.replaceAll('_', '-')} <n>`, help, parse) };
});

export function addTrain(program: Command): void {
  const command = withCommon(
    program
      .command('train')
      .description('Teach the model pictures and their words.')
      .argument('<data>', 'a folder of pictures with a metadata.jsonl'),
  )
    .addOption(option('--out <dir>', 'the folder of the run', someText))
    .addOption(
      option('--stage <n>', "the paper's stage, which sets tasks and masks (default: 2)", oneOf('1', '2', '3')),
    )
    .addOption(
      new Option('--learn <what...>', 'paper, all, or names and globs of tensors (default: paper; from scratch, all)'),
    )
    .addOption(option('--config <file>', 'a JSON file with any of the settings below', someText))
    .addOption(
      option('--from-scratch <config>', 'begin with random weights: mmar-0.5b, mmar-7b, or a JSON file', someText),
    )
    .addOption(
      option('--save <what>', 'patch, or a whole model (default: patch; from scratch, model)', oneOf('patch', 'model')),
    )
    .option('--plan', 'show the memory that the run would take on a device, and learn nothing')
    .option(
      '--recompute',
      'keep less on the way forward and compute it again on the way back (default: where else over --memory)',
    )
    .addOption(option('--memory <mb>', 'device memory that is there (default: what a software adapter has)', real(0)))
    .option('--resume', 'go on with the run in --out, with the bits of one never stopped')
    .addOption(option('--held-out <share>', 'share of the pictures that is not learned', real(0, 0.9)).default(0))
    .addOption(option('--rehearse <n>', 'mix in n pictures that the model draws of what it knows', count(0)).default(0))
    .addOption(option('--known <file>', 'prompts to rehearse, one a line (default: pictures of no words)', someText))
    .addOption(option('--save-every <n>', 'steps between two saves', count(1)).default(100))
    .addOption(option('--save-minutes <n>', 'the most minutes between two saves', real(0)).default(10))
    .addOption(option('--sample-every <n>', 'steps between two samples', count(1)).default(100))
    .addOption(new Option('--sample <prompt...>', 'what to draw and read on the way'));
  for (const { made } of flags) command.addOption(made);
  command
    .addOption(option('--schedule <name>', 'of the learning rate', oneOf('constant', 'cosine')))
    .addHelpText('after', examples)
    .action(train);
}

async function train(data: string, options: Options): Promise<void> {
  const given = readSettings(options),
    learn = learnOf(options.learn ?? [options.fromScratch ? 'all' : 'paper']);
  if (options.plan) return showPlan(data, given, learn, options);
  if (options.out === undefined) throw usage('--out is missing; give the folder of the run');
  const folder = new TrainingFolder(options.out);
  folder.open(options.resume === true);
  const saved = options.resume ? await folder.saved() : undefined,
    settings = saved ? { ...(JSON.parse(saved.options) as TrainingSettings), steps: given.steps } : given;
  let recompute = false;
  const fits = async (_: unknown, opened: Opened): Promise<void> => {
    recompute = await recomputes(data, settings, learn, options, opened);
  };
  const learning = async (session: Session): Promise<void> => {
    const items = await readItems(data, folder, settings, options, session),
      run = await TrainingRun.begin(session.model, items, settings, learn, recompute);
    try {
      if (saved) await folder.resume(session.model.device, run, saved.step);
      await follow(run, folder, options, session);
    } finally {
      await run.release();
    }
  };
  const other = options.fromScratch === undefined ? undefined : () => fromScratch(options, settings.seed);
  await withModel({ ...options, learns: true }, learning, fits, other);
}

/** Counts what the run would take on the adapter, whose limits it keeps to; nothing is loaded. */
async function showPlan(data: string, settings: TrainingSettings, learn: Learn, options: Options): Promise<void> {
  const other = options.fromScratch === undefined ? undefined : () => fromScratch(options, settings.seed);
  const show = async ({ checkpoint, device, adapter, signal }: Opened): Promise<void> => {
    const words = await readWords(data, signal),
      config = await readConfig(checkpoint, signal),
      { precision } = options;
    const planned = (recompute: boolean) =>
      planTraining(checkpoint, config, words, settings, learn, { device, precision, recompute });
    const plan = await planned(false),
      recomputing = await planned(true);
    if (options.json) return console.log(JSON.stringify(snakeKeys({ adapter, ...plan, recomputing })));
    const rows = Object.entries(plan).flatMap(([name, bytes]) =>
      typeof bytes === 'number' && name !== 'learned'
        ? [[name, megabytes(bytes), megabytes(recomputing[name as 'peak'])]]
        : [],
    );
    const head = `${plan.learned.toLocaleString('en')} numbers learn; weights ${plan.weightType}, activations ${precision}, ${adapter}`;
    console.log([head, '', ...table([['', '', '--recompute'], ...rows])].join('\n'));
  };
  await withDevice(options, show, other);
}

/** Whether blocks are recomputed: as the options say, or where the run would else take more memory than is there. */
async function recomputes(
  data: string,
  settings: TrainingSettings,
  learn: Learn,
  { recompute, memory, precision, known }: Options,
  { device, checkpoint, signal }: Opened,
): Promise<boolean> {
  const there = memory === undefined ? (device.software ? availableMemory() : Infinity) : memory * 1e6;
  if (recompute) return true;
  const config = await readConfig(checkpoint, signal),
    words = [...(await readWords(data, signal)), ...readKnown(known).map(wordsOf)];
  return mustRecompute(
    there,
    (recompute) => planTraining(checkpoint, config, words, settings, learn, { device, precision, recompute }),
    'lower --micro-batch or --draws, let less learn, or give more --memory if there is more',
  );
}

async function readWords(data: string, signal: AbortSignal): Promise<Entry[]> {
  const source = nodePlatform.source(data);
  return readMetadata(source, signal).finally(() => source.close());
}

/** Prompts to rehearse, one a line. */
function readKnown(file: string | undefined): string[] {
  if (!file) return [];
  try {
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.trim()).filter(Boolean);
  } catch (cause) {
    throw new MMARError('file', `--known ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Random weights for a config; the image tokenizer, which never learns, is that of --model where it has the same shape. */
async function fromScratch(options: Options, seed: number): Promise<Checkpoint> {
  const { fromScratch: name = '', set = {} } = options,
    config = withSettings(readConfigFile(name), set) as { image_tokenizer?: unknown },
    random = randomCheckpoint(config, name, seed, copiedTokenizer(config)),
    trained = await openCheckpoint(nodePlatform.source(options.model), stopSignal),
    other = (await trained.json('config.json')) as typeof config | undefined;
  const tensors = new Map(random.tensors);
  if (isDeepStrictEqual(config.image_tokenizer, other?.image_tokenizer))
    for (const [tensor, place] of trained.tensors)
      if (tensor.startsWith('image_tokenizer.')) tensors.set(tensor, place);
  const source = { ...random.source, close: () => trained.source.close() };
  return openComposed({ ...options, set: undefined }, new Checkpoint(source, tensors));
}

/** Runs the steps: logs each, saves and samples now and then, and saves where it stands when it is stopped. */
async function follow(run: TrainingRun, folder: TrainingFolder, options: Options, session: Session): Promise<void> {
  const { model, checkpoint, progress, signal } = session,
    { settings } = run,
    what = options.save ?? (options.fromScratch ? 'model' : 'patch'),
    names = [...model.system.weights.required.keys()];
  let saved = '',
    savedAt = performance.now(),
    dueAt = 0; // the step behind which a save is due
  const save = async () => {
    saved = await folder.save(model.device, run, JSON.stringify(settings), what, checkpoint, names);
    savedAt = performance.now();
  };
  const start = performance.now(),
    begun = run.done;
  progress.start('learning', settings.steps);
  const every = (step: number, n: number) => step === settings.steps || step % n === 0,
    pause = (step: number) => {
      const late = performance.now() - savedAt >= 60_000 * options.saveMinutes;
      if (late || every(step, options.saveEvery)) dueAt = step;
      return dueAt === step || every(step, options.sampleEvery);
    };
  try {
    for await (const step of run.steps(pause, signal)) {
      const seconds = secondsSince(start),
        sampled = every(step.step, options.sampleEvery),
        examples_per_second = Math.round((100 * settings.batch * (step.step - begun)) / seconds) / 100;
      const held_out = sampled ? await run.heldOutLosses(signal) : undefined;
      folder.log({ ...step, examples_per_second, seconds, held_out });
      progress.update(step.step, `, loss ${step.loss.toFixed(3)}, ${examples_per_second} examples/s`);
      if (step.step === dueAt) await save();
      if (sampled) {
        await folder.drawCurve();
        await sample(step.step, folder, options, session);
      }
    }
  } catch (error) {
    // A loss that is no number must not take the last good state's place.
    if (!(error instanceof MMARError && error.code === 'cancelled')) throw error;
    const saving = save();
    unfinished.add(saving);
    await saving;
    throw error;
  } finally {
    progress.stop();
  }
  const seconds = secondsSince(start),
    result = { out: folder.folder, steps: run.done, seconds, [what]: saved };
  if (options.json) console.log(JSON.stringify(result));
  else console.log(`${run.done} steps in ${seconds.toFixed(0)} s: ${saved}`);
}

/** Draws and reads each prompt with what is learned so far. */
async function sample(step: number, folder: TrainingFolder, { sample = [] }: Options, session: Session): Promise<void> {
  const { model, signal } = session;
  makeFolder(folder.path('samples'));
  for (const [i, prompt] of sample.entries()) {
    const { picture } = await model.generate({ prompt, seed: 1, signal });
    const name = folder.path(`samples/${String(step).padStart(6, '0')}-${i + 1}.png`);
    await writePicture(name, picture);
    const { text: read } = await model.describe({ image: picture, signal });
    say(`step ${step}: ${prompt}: ${name}, read as ${JSON.stringify(read.trim())}`);
  }
}

async function readItems(
  data: string,
  folder: TrainingFolder,
  settings: TrainingSettings,
  { heldOut, rehearse: count, known }: Options,
  { model, checkpoint, progress, signal }: Session,
): Promise<Data> {
  const source = nodePlatform.source(data),
    beside = nodePlatform.source(folder.folder),
    file = 'tokens.safetensors';
  try {
    const entries = await readMetadata(source, signal);
    const cache = { source: beside, file, write: (bytes: Uint8Array) => writeFileWhole(folder.path(file), bytes) };
    progress.start('pictures', entries.length);
    const all = await encodeEntries(
      model,
      checkpoint,
      nodePlatform,
      source,
      entries,
      cache,
      (done) => progress.update(done),
      signal,
    );
    const kept = all.length - Math.floor(heldOut * all.length);
    const prompts = readKnown(known);
    if (count) progress.start('rehearsing', count);
    const rehearsed = await rehearse(model, count, prompts, settings.seed, (done) => progress.update(done), signal);
    return { items: all.slice(0, kept), rehearsed, heldOut: all.slice(kept) };
  } finally {
    progress.stop();
    await source.close();
    await beside.close();
  }
}

function readSettings(options: Options): TrainingSettings {
  let file: Record<string, unknown> = {};
  if (options.config)
    try {
      file = JSON.parse(fs.readFileSync(options.config, 'utf8')) as typeof file;
    } catch (cause) {
      throw new MMARError('file', `--config ${options.config} cannot be read: ${(cause as Error).message}`, { cause });
    }
  const given: Record<string, unknown> = { ...file };
  for (const { key, made } of flags) {
    const value = options[made.attributeName()];
    if (value !== undefined) given[key] = value;
  }
  if (options.stage) given.stage = Number(options.stage);
  if (options.schedule) given.schedule = options.schedule;
  return trainingSettings(given);
}

function learnOf(names: string[]): Learn {
  const [first] = names;
  if (first !== 'paper' && first !== 'all') return names;
  if (names.length > 1) throw usage(`--learn ${names.join(' ')}; give ${first} alone, or names of tensors`);
  return first;
}
