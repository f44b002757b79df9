import { fork } from 'node:child_process';
import fs from 'node:fs';
import { MMARError } from '../../base/error.ts';
import { type SourceFault, tryShader, type Verdict } from '../../bench/own.ts';
import { figure } from '../../bench/present.ts';
import { shapeOf } from '../../bench/report.ts';
import { Stopwatch } from '../../bench/stopwatch.ts';
import { usage } from '../errors.ts';
import { table } from '../progress.ts';
import { withAdapter } from '../session.ts';
import { stopSignal } from '../stop.ts';

interface OwnOptions {
  adapter?: string;
  as?: string;
  shape: [number, number, number][];
  config?: string;
  json?: boolean;
}

/** Seconds that a shader has for its first run: one that takes longer has an endless loop. */
const patience = 10;

/**
 * Tries a shader of the user's own. It runs in a process of its own, which can be ended: nothing else ends a shader that
 * does not end by itself.
 */
export async function tryOwn(file: string, options: OwnOptions): Promise<void> {
  if (!options.as) throw usage('--wgsl wants the kernel in whose place it stands: --as matmul');
  if (process.send) return run(file, options.as, options);
  const child = fork(process.argv[1], process.argv.slice(2), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  stopSignal.addEventListener('abort', () => child.kill('SIGKILL'));
  let timer: NodeJS.Timeout | undefined,
    endless = false;
  child.on('message', (running) => {
    clearTimeout(timer);
    if (!running) return;
    timer = setTimeout(() => {
      endless = true;
      child.kill('SIGKILL');
    }, patience * 1000);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  if (endless)
    throw new MMARError(
      'device',
      `${file} did not end within ${patience} s: look for a loop without an end, or give a smaller --shape`,
    );
  process.exitCode = code ?? 1;
}

async function run(file: string, as: string, { adapter, shape: [shape], config, json }: OwnOptions): Promise<void> {
  const wgsl = readText(file);
  const verdict = await withAdapter(adapter, async (device) => {
    const watch = await Stopwatch.open(device);
    return tryShader(
      watch,
      wgsl,
      { as, shape, config },
      { signal: stopSignal, onRun: (running) => process.send?.(running) },
    );
  });
  if (json) console.log(JSON.stringify(verdict, undefined, 1));
  else print(file, as, verdict);
  if (verdict.errors.length || !verdict.correct) process.exitCode = 1;
}

function print(file: string, as: string, { errors, endless, difference, correct, rows }: Verdict): void {
  const told = ({ line, message }: SourceFault) => console.log(line ? `${file}:${line}: ${message}` : message);
  for (const fault of endless ? [endless] : errors) told(fault);
  if (errors.length) console.log(`${file} does not compile`);
  if (errors.length || endless) return;
  const off =
    difference === Infinity ? 'it has no numbers where there should be some' : `off by ${figure(difference)} at most`;
  console.log(correct ? `right: ${off}` : `WRONG: not what ${as} gives, ${off}`);
  const [ours, yours] = rows;
  const cells = rows.map((row) => [
    row.variant,
    figure(row.ms),
    `${figure(100 * row.spread)} %`,
    figure(row.gflops),
    figure(row.gbps),
  ]);
  console.log(
    `\n${ours.op} ${shapeOf(ours)}\n${table([['', 'ms', 'spread', 'GFLOP/s', 'GB/s'], ...cells]).join('\n')}`,
  );
  console.log(`yours takes ${figure(yours.relative! / ours.relative!)} times as long`);
}

function readText(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MMARError('file', `${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
