import { SingleBar } from 'cli-progress';

/** A bar on stderr, for a terminal only: in a pipe, and where the answer is JSON, nothing is shown. */
export class Progress {
  private bar?: SingleBar;
  private note = '';

  constructor(private readonly quiet = false) {}

  get shown(): boolean {
    return this.bar !== undefined;
  }

  /** @param shown how a value is written; as it is by default */
  start(label: string, total: number, shown: (value: number) => string = String): void {
    this.show(total, (value, seconds) => {
      const full = Math.round((30 * value) / total);
      return `${label} ${'█'.repeat(full)}${'░'.repeat(30 - full)} ${shown(value)}/${shown(total)}${timeLeft((seconds * (total - value)) / value)}${this.note}`;
    });
  }

  /** What is being done, and for how long already, where there is nothing to count. */
  busy(label: string): void {
    this.show(1, (_, seconds) => `${label}${seconds < 1 ? '' : `, ${seconds.toFixed(0)} s`}`);
  }

  private show(total: number, line: (value: number, seconds: number) => string): void {
    this.stop();
    this.note = '';
    if (this.quiet || !process.stderr.isTTY) return;
    const start = performance.now(),
      format = (_: unknown, { value }: { value: number }) => line(value, (performance.now() - start) / 1000);
    this.bar = new SingleBar({
      format,
      clearOnComplete: true,
      hideCursor: null,
      gracefulExit: false,
      stream: process.stderr,
    });
    this.bar.start(total, 0);
  }

  /** @param note what else is to be said of it */
  update(value: number, note = ''): void {
    this.note = note;
    this.bar?.update(value);
  }

  /** Takes the bar away. */
  stop(): void {
    this.bar?.stop();
    this.bar = undefined;
  }
}

/** Said once it can be told, and only where it matters. */
function timeLeft(seconds: number): string {
  if (!(seconds > 5 && seconds < Infinity)) return '';
  return seconds < 90 ? `, ${seconds.toFixed(0)} s left` : `, ${(seconds / 60).toFixed(0)} min left`;
}

/** Bytes for people, in powers of 1000 as disks and networks count. */
export function megabytes(bytes: number): string {
  const [unit, size] = bytes >= 1e9 ? ['GB', 1e9] : bytes >= 1e6 ? ['MB', 1e6] : bytes >= 1e3 ? ['kB', 1e3] : ['B', 1];
  return `${(bytes / size).toFixed(size > 1 ? 1 : 0)} ${unit}`;
}

export const secondsSince = (start: number): number => Math.round(performance.now() - start) / 1000;

/** Lines of a table: the first column to the left, the others to the right. */
export function table(rows: string[][]): string[] {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows.map((row) =>
    row
      .map((text, c) => (c ? text.padStart(widths[c]) : text.padEnd(widths[c])))
      .join('  ')
      .trimEnd(),
  );
}
