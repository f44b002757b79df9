import { hashOf as hashOfSource, type ShaderSource } from './preprocessor.ts';

/** What tells the sizes of a kernel's operands apart for a choice, by name: `{ m: 256, k: 896, n: 4864 }`. */
export type Shape = Record<string, number | string>;

/** Shapes in which the same candidate is expected to win: each size rounded up to a power of two. */
export function shapeClass(shape: Shape): string {
  const round = (size: number | string): number | string =>
    typeof size === 'number' ? 2 ** Math.ceil(Math.log2(Math.max(1, size))) : size;
  return Object.entries(shape)
    .map(([name, size]) => `${name}${round(size)}`)
    .join(' ');
}

/** What a tuner keeps of a machine, as text; a store that fails is one that has nothing. */
export interface TuningStore {
  load(identity: string): Promise<string | undefined>;
  save(identity: string, text: string): Promise<void>;
}

/** What is chosen among: a variant, and the shader that it was measured with. */
export interface Choosable {
  variant: string;
  source?: ShaderSource;
}

/**
 * Chooses among a kernel's candidates: one that is forced, else the one that was measured best on this machine, else the
 * first, which is the choice of the kernel's own rule. All candidates of a shape give the same bits.
 */
export class Tuning {
  private readonly forced: Map<string, string>;
  /** Variant and hash of its shader by kernel and class of shapes. */
  private readonly measured = new Map<string, { variant: string; shader: string }>();
  /** What failed, was wrong or did not end: never run again. */
  private readonly struck = new Set<string>();
  /** Models that were tuned when they were first loaded, however far that came. */
  readonly models = new Set<string>();

  /** @param force `KERNEL:VARIANT`, any number of them with commas between: taken wherever it is a candidate */
  constructor(force = environment('MMAR_FORCE')) {
    this.forced = new Map(
      force
        .split(',')
        .filter(Boolean)
        .map((pair) => pair.split(':') as [string, string]),
    );
  }

  /** The index of the candidate to run for a kernel and a class of shapes. */
  pick(kernel: string, shapes: string, candidates: readonly Choosable[]): number {
    const forced = this.forced.get(kernel),
      best = this.measured.get(`${kernel} ${shapes}`);
    const wanted = [
      candidates.findIndex(({ variant }) => variant === forced),
      candidates.findIndex(({ variant, source }) => variant === best?.variant && hashOf(source) === best.shader),
      candidates.findIndex((candidate) => !this.isStruck(kernel, shapes, candidate)),
    ];
    return wanted.find((index) => index >= 0) ?? 0;
  }

  /** Whether a candidate was measured as the best of these shapes. */
  knows(kernel: string, shapes: string, candidates: readonly Choosable[]): boolean {
    const best = this.measured.get(`${kernel} ${shapes}`);
    return candidates.some(({ variant, source }) => variant === best?.variant && hashOf(source) === best.shader);
  }

  choose(kernel: string, shapes: string, { variant, source }: Choosable): void {
    this.measured.set(`${kernel} ${shapes}`, { variant, shader: hashOf(source) });
  }

  /** Never takes this candidate for these shapes again, until its shader changes. */
  strike(kernel: string, shapes: string, candidate: Choosable): void {
    this.struck.add(strikeKey(kernel, shapes, candidate));
  }

  pardon(kernel: string, shapes: string, candidate: Choosable): void {
    this.struck.delete(strikeKey(kernel, shapes, candidate));
  }

  isStruck(kernel: string, shapes: string, candidate: Choosable): boolean {
    return this.struck.has(strikeKey(kernel, shapes, candidate));
  }

  get size(): number {
    return this.measured.size;
  }

  /** Forgets what was measured: the rules hold again. */
  clear(): void {
    this.measured.clear();
  }

  /** All that was measured, for a store. */
  toText(): string {
    const { measured, struck, models } = this;
    return JSON.stringify(
      { format, measured: Object.fromEntries(measured), struck: [...struck], models: [...models] },
      null,
      1,
    );
  }

  /** Takes what `toText` gave; a text that is broken or of another format counts for nothing. */
  fromText(text: string | undefined): void {
    let read: { format?: unknown; measured?: unknown; struck?: unknown; models?: unknown } | null;
    try {
      read = JSON.parse(text ?? 'null');
    } catch {
      return;
    }
    if (read?.format !== format || typeof read.measured !== 'object' || !Array.isArray(read.struck)) return;
    for (const [key, value] of Object.entries(read.measured ?? {})) {
      const { variant, shader } = (value ?? {}) as Record<string, unknown>;
      if (typeof variant === 'string' && typeof shader === 'string') this.measured.set(key, { variant, shader });
    }
    for (const key of read.struck) if (typeof key === 'string') this.struck.add(key);
    if (Array.isArray(read.models)) for (const key of read.models) if (typeof key === 'string') this.models.add(key);
  }
}

const format = 1;

const strikeKey = (kernel: string, shapes: string, { variant, source }: Choosable): string =>
  `${kernel} ${shapes} ${variant} ${hashOf(source)}`;

const hashOf = (source: ShaderSource | undefined): string => (source ? hashOfSource(source) : '');

/** A variable of the environment; browsers have none. */
function environment(name: string): string {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] ?? '';
}
