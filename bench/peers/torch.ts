import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** A program in PyTorch that waits for its turn. */
export interface Torch<First> {
  /** What it said of itself. */
  first: First;
  /** A line, and the line it answers with. */
  ask(line: string): Promise<string>;
  close(): void;
}

/**
 * A program of this folder, in PyTorch on as many threads as there are cores; undefined where Python has none.
 * @param model folder of the checkpoint that it loads
 * @param input what it works on, as JSON
 */
export async function openTorch<First>(
  python: string,
  program: string,
  model: string,
  input: unknown,
): Promise<Torch<First> | undefined> {
  try {
    execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-bench-')),
    file = path.join(folder, 'input.json'),
    plain = (_: string, value: unknown) => (ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value);
  fs.writeFileSync(file, JSON.stringify(input, plain));
  const cores = String(os.availableParallelism()),
    words = [`bench/peers/${program}`, `${model}/model.safetensors`, `${model}/config.json`, file, cores];
  const child: ChildProcessWithoutNullStreams = spawn(python, words, {
    env: { ...process.env, OMP_WAIT_POLICY: 'PASSIVE' }, // whose turn it is not sleeps
  });
  child.stderr.pipe(process.stderr);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the PyTorch side ended; its own words are above');
    return value;
  };
  return {
    first: JSON.parse(await next()) as First,
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return next();
    },
    close: () => {
      child.kill();
      fs.rmSync(folder, { recursive: true });
    },
  };
}
