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

/** Chooses among a kernel's candidates. The first is the choice of the kernel's own rule, which holds unless one is forced. */
export class Tuning {
  private readonly forced: Map<string, string>;

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
  pick(kernel: string, _shapeClass: string, candidates: readonly { variant: string }[]): number {
    const forced = this.forced.get(kernel);
    return Math.max(
      0,
      candidates.findIndex(({ variant }) => variant === forced),
    );
  }
}

/** A variable of the environment; browsers have none. */
function environment(name: string): string {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  return process?.env?.[name] ?? '';
}
