import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { shapeClass, type TuningStore } from '../engine/tuning.ts';
import { difference, plainOf, tolerance } from './kernels.ts';
import { Operands } from './operands.ts';
import { type RecordedShape, recordShapes } from './shapes.ts';
import { Stopwatch } from './stopwatch.ts';
import { within } from './within.ts';

/** What was chosen for a kernel at a shape, and by how much: times of one run in ms. */
export interface Tuned {
  kernel: string;
  shape: string;
  variant: string;
  ms: number;
  /** The rule's choice. */
  rule: string;
  rule_ms: number;
  /** Variants that failed, and why. */
  struck: Record<string, string>;
}

export interface TuneOptions {
  store: TuningStore;
  /** All of it takes at most about so many seconds. */
  seconds?: number;
  /** A candidate that has not ended after so many ms is given up, and the device with it; software compiles for long. */
  patience?: number;
  signal?: AbortSignal;
  onTuned?: (tuned: Tuned, done: number, total: number) => void;
}

/** What a machine's choices hold for. */
export const identityOf = ({ adapter }: Device, versions: string): string =>
  [adapter.vendor, adapter.architecture, adapter.device, adapter.driver, adapter.kind, versions].join('\n');

/**
 * Measures the candidates of every shape that is not known yet, what runs most often first, and lets the device choose by it
 * from now on. A candidate that does not compile, is wrong or does not end is struck out, also where it takes the process
 * with it: it is noted as struck before it runs for the first time.
 *
 * Throws `device` where a candidate does not end: the device is of no use any more, the next start does without it.
 */
export async function tune(
  device: Device,
  identity: string,
  shapes: readonly RecordedShape[],
  options: TuneOptions,
): Promise<Tuned[]> {
  const { store, seconds = 60, signal, onTuned } = options,
    deadline = performance.now() + 1000 * seconds,
    { tuning } = device,
    save = () => store.save(identity, tuning.toText());
  const unknown = new Map<string, RecordedShape>();
  for (const shape of [...shapes].sort((a, b) => b.calls - a.calls)) {
    const { name, shape: sizes } = shape.dispatch,
      key = `${name} ${shapeClass(sizes)}`;
    if (shape.candidates.length < 2 || tuning.knows(name, shapeClass(sizes), shape.candidates)) continue;
    if (!unknown.has(key)) unknown.set(key, shape);
  }
  const watch = await Stopwatch.open(device),
    tuned: Tuned[] = [];
  try {
    for (const shape of unknown.values()) {
      if (performance.now() > deadline) break;
      checkCancelled(signal);
      const one = await tuneShape(watch, shape, save, deadline, options);
      if (one) tuned.push(one);
      if (one) onTuned?.(one, tuned.length, unknown.size);
    }
  } finally {
    watch.destroy();
    await save();
  }
  return tuned;
}

/** Seconds that a model's first load may take longer. */
const firstLoadSeconds = 3;

/**
 * Tunes a model's kernels when a GPU first loads it: once for a machine and a model, for a few seconds at most, however far
 * that comes; what is left the rule decides, until `mmar tune`. Aborting the signal ends it early and keeps what was
 * measured. Software, where compiling alone takes longer, is left to the rule.
 */
export async function tuneFirstLoad(
  device: Device,
  identity: string,
  config: unknown,
  { seconds = firstLoadSeconds, signal, onBegin, ...options }: TuneOptions & { onBegin?: () => void },
): Promise<void> {
  const { tuning } = device,
    model = JSON.stringify(config);
  if (device.software || tuning.models.has(model)) return;
  tuning.models.add(model);
  onBegin?.();
  await options.store.save(identity, tuning.toText());
  try {
    await within(1000 * seconds, signal, async (signal) => {
      const shapes = await recordShapes(device, config, 'model');
      await tune(device, identity, shapes, { ...options, seconds, signal });
    });
  } catch (error) {
    if (!(error instanceof MMARError && error.code === 'cancelled')) throw error;
  }
}

/** A candidate that ran, and its times. */
interface Runner {
  candidate: Candidate;
  program: Program;
  ms: number[];
}

async function tuneShape(
  watch: Stopwatch,
  shape: RecordedShape,
  save: () => Promise<void>,
  deadline: number,
  { patience = watch.device.software ? 60_000 : 5000, signal }: TuneOptions,
): Promise<Tuned | undefined> {
  const { device } = watch,
    { tuning } = device,
    { name, shape: sizes } = shape.dispatch,
    shapes = shapeClass(sizes),
    struck: Record<string, string> = {};
  const operands = await Operands.make(device, shape).catch(() => undefined);
  if (!operands) return undefined;
  const trial = new Trial(operands, name, patience);
  try {
    for (const candidate of plainFirst(shape.candidates)) {
      if (tuning.isStruck(name, shapes, candidate)) continue;
      checkCancelled(signal);
      if (performance.now() > deadline) return undefined;
      tuning.strike(name, shapes, candidate);
      await save();
      const reason = await trial.run(candidate);
      if (reason) struck[candidate.variant] = reason;
      else tuning.pardon(name, shapes, candidate);
    }
    const right = trial.runners.filter(({ candidate }) => !(candidate.variant in struck));
    const rule = right.find(({ candidate }) => candidate === shape.candidates[0]) ?? right[0];
    if (!rule) return undefined;
    await race(watch, right, signal);
    const winner = winnerOf(right, rule);
    tuning.choose(name, shapes, winner.candidate);
    return {
      kernel: name,
      shape: shapes,
      variant: winner.candidate.variant,
      ms: least(winner),
      rule: rule.candidate.variant,
      rule_ms: least(rule),
      struck,
    };
  } finally {
    trial.release();
  }
}

/** Candidates of one shape, each run once; the first one's result is what the others' must be. */
class Trial {
  readonly runners: Runner[] = [];
  private wanted: Float32Array[] | undefined;

  constructor(
    private readonly operands: Operands,
    private readonly kernel: string,
    private readonly patience: number,
  ) {}

  /** Why a candidate is not to be used; undefined where it is right. Throws `device` where it does not end. */
  async run(candidate: Candidate): Promise<string | undefined> {
    try {
      const program = await this.operands.program(candidate);
      this.runners.push({ candidate, program, ms: [] });
      const what = `${this.kernel} ${candidate.variant}`,
        got = await endsWithin(this.patience, this.operands.results(program), what);
      this.wanted ??= got;
      return difference(got, this.wanted) < tolerance ? undefined : 'wrong';
    } catch (error) {
      if (error instanceof NoEnd) throw error.error;
      return (error as Error).message;
    }
  }

  release(): void {
    for (const { program } of this.runners) program.destroy();
    this.operands.release();
  }
}

/** How much faster than the rule's choice another must be, for noise not to choose. */
const clear = 0.95,
  mostRounds = 6;

function winnerOf(right: Runner[], rule: Runner): Runner {
  const best = right.reduce((a, b) => (least(b) < least(a) ? b : a));
  return least(best) < clear * least(rule) ? best : rule;
}

/** Times all in turn; who is far behind drops out, and it ends when one is far ahead. */
async function race(watch: Stopwatch, runners: Runner[], signal?: AbortSignal): Promise<void> {
  const runsOf = new Map<Runner, number>();
  for (const runner of runners) {
    const once = await watch.time([runner.program], 1, signal); // pages are touched, drivers that compile late have done so
    runsOf.set(runner, Math.min(200, Math.max(1, Math.ceil(watch.clock.sample_ms / Math.max(0.01, once)))));
  }
  let left = runners;
  for (let round = 0; round < mostRounds && left.length > 1; round++) {
    for (const runner of left) runner.ms.push(await watch.time([runner.program], runsOf.get(runner)!, signal));
    const ahead = Math.min(...left.map(least));
    left = left.filter((runner) => least(runner) < ahead * (round ? 1.1 : 1.5));
  }
  for (const runner of runners) if (!runner.ms.length) runner.ms.push(await watch.time([runner.program], 1, signal));
}

/** Noise only ever adds to a time. */
const least = ({ ms }: Runner): number => Math.min(...ms);

/** What the others are compared with runs first. */
const plainFirst = (candidates: readonly Candidate[]): Candidate[] => {
  const plain = plainOf(candidates);
  return [plain, ...candidates.filter((candidate) => candidate !== plain)];
};

class NoEnd extends Error {
  constructor(readonly error: MMARError) {
    super(error.message);
  }
}

function endsWithin<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    const error = new MMARError('device', `${what} does not end; it will not be tried again: run the command anew`);
    timer = setTimeout(() => reject(new NoEnd(error)), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
