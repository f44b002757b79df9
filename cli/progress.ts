import { SingleBar } from 'cli-progress';

/** A bar on stderr, for a terminal only: in a pipe, and where the answer is JSON, nothing is shown. */
export class Progress {
  private bar?: SingleBar;

  constructor(private readonly quiet = false) {}

  get shown(): boolean {
    return this.bar !== undefined;
  }

  /** @param shown how a value is written; as it is by default */
  start(label: string, total: number, shown: (value: number) => string = String): void {
    this.stop();
    if (this.quiet || !process.stderr.isTTY) return;
    this.bar = new SingleBar({
      format: (options, { progress, value, total }) => {
        const width = options.barsize ?? 30, full = Math.round(progress * width);
        return `${label} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${shown(value)}/${shown(total)}`;
      },
      barsize: 30, clearOnComplete: true, hideCursor: null, gracefulExit: false, stream: process.stderr,
    });
    this.bar.start(total, 0);
  }

  update(value: number): void {
    this.bar?.update(value);
  }

  /** Takes the bar away. */
  stop(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}

/** Bytes for people, in powers of 1000 as disks and networks count. */
export function megabytes(bytes: number): string {
  const [unit, size] = bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : bytes >= 1e3 ? ['kB', 1e3] : ['B', 1];
  return `${(bytes / size).toFixed(size > 1 ? 1 : 0)} ${unit}`;
}

export const seconds_since = (start: number): number => Math.round(performance.now() - start) / 1000;

/** Lines of a table: the first column to the left, the others to the right. */
export function table(rows: string[][]): string[] {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows.map((row) => row.map((text, c) => (c ? text.padStart(widths[c]) : text.padEnd(widths[c]))).join('  ').trimEnd());
}
