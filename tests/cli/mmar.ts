// The command line as its users run it: a process of its own, in a folder that is empty at first.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** tests/run.mjs runs tests in the root of the checkout. */
export const root = process.cwd();

export const reference = path.join(root, 'checkpoints/emoji/reference');

/** Where the golden cases are, or undefined where they are not at hand. */
export const golden = [process.env.MMAR_GOLDEN ?? path.join(root, 'tests/golden')].find((folder) =>
  fs.existsSync(folder),
);

export interface Run {
  code: number | null;
  /** The signal that ended it. */
  killedBy: string | null;
  stdout: string;
  stderr: string;
  /** Milliseconds from the SIGINT to the end. */
  stopping: number;
}

export const newFolder = (): string => fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-test-'));

/** Runs `mmar` with these words; it gets a SIGINT `stopAfter` milliseconds, or once its output has `stopAt`. */
export function mmar(
  words: string[],
  { cwd = os.tmpdir(), stopAfter = 0, stopAt = '', env = {} as NodeJS.ProcessEnv, root: place = root } = {},
): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(place, 'cli/mmar.mjs'), ...words], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '',
      stderr = '',
      stopped = 0,
      stopping = 0;
    const stop = () => {
      if (stopped) return;
      stopped = performance.now();
      child.kill('SIGINT');
    };
    const look = () => {
      if (stopAt && (stdout + stderr).includes(stopAt)) stop();
    };
    child.stdout.on('data', (data) => {
      stdout += data;
      look();
    });
    child.stderr.on('data', (data) => {
      stderr += data;
      look();
    });
    if (stopAfter) setTimeout(stop, stopAfter);
    child.on('exit', () => (stopping = performance.now() - stopped));
    child.on('close', (code, killedBy) => resolve({ code, killedBy, stdout, stderr, stopping }));
  });
}

/** Runs `mmar`, which must succeed, and reads the JSON that it prints. */
export async function mmarJSON<T>(words: string[], cwd?: string): Promise<T> {
  const { code, stdout, stderr } = await mmar([...words, '--json'], { cwd });
  if (code !== 0) throw new Error(`mmar ${words.join(' ')} exited ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

/** Fails unless it exited so, with one line on stderr that says this, and nothing on stdout. */
export function failed(run: Run, code: number, message: RegExp): void {
  const { stdout, stderr } = run;
  const holds = run.code === code && stdout === '' && /^mmar: .+\n$/.test(stderr) && message.test(stderr);
  if (!holds)
    throw new Error(
      `want exit ${code} and one line like ${message}; got exit ${run.code}, stdout ${JSON.stringify(stdout)}, stderr ${JSON.stringify(stderr)}`,
    );
}

export interface AdapterRow {
  name: string;
  kind: string;
  vendor: string;
  features: string[];
  limits: Record<string, number>;
}

let listed: Promise<AdapterRow[]> | undefined;
export const adapters = (): Promise<AdapterRow[]> => (listed ??= mmarJSON<AdapterRow[]>(['adapters']));
