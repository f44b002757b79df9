import { fork } from 'node:child_process';
import type { SourceFault } from '../../bench/faults.ts';
import { firstRunSeconds, noEnd } from '../../bench/no_end.ts';
import { tryShader, type Verdict } from '../../bench/own.ts';
import { figure, timesOurs, trialTable } from '../../bench/present.ts';
import type { Sizes } from '../../bench/sizes.ts';
import { Stopwatch } from '../../bench/stopwatch.ts';
import { usage } from '../errors.ts';
import { readText } from '../files.ts';
import { withAdapter } from '../session.ts';
import { stopSignal } from '../stop.ts';
import { printTable } from './bench_tables.ts';

interface OwnOptions {
  adapter?: string;
  as?: string;
  shape: Sizes[];
  config?: string;
  json?: boolean;
}

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
    }, firstRunSeconds * 1000);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  if (endless) throw noEnd(file);
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

function print(file: string, as: string, verdict: Verdict): void {
  const { errors, endless, difference, correct } = verdict;
  const told = ({ line, message }: SourceFault) => console.log(line ? `${file}:${line}: ${message}` : message);
  for (const fault of endless ? [endless] : errors) told(fault);
  if (errors.length) console.log(`${file} does not compile`);
  if (errors.length || endless) return;
  const off =
    difference === Infinity ? 'it has no numbers where there should be some' : `off by ${figure(difference)} at most`;
  console.log(correct ? `right: ${off}` : `WRONG: not what ${as} gives, ${off}`);
  printTable(trialTable(verdict));
  console.log(`yours takes ${timesOurs(verdict)} times as long`);
}
