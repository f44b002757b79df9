import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';

let cat: ChildProcess | undefined;

/**
 * Keeps Dawn's warnings (of limits that it lowers) off stderr where `platform/node_gpu.ts` cannot: a socket, which is
 * what Node's own `spawn` gives, cannot be opened a second time, and a file opened again loses the place that it shares
 * with the shell. There a `cat` holds on to stderr, JavaScript writes to it, and native code writes to nowhere.
 */
export function quietNativeWarnings(): void {
  if (process.platform !== 'linux') return;
  const stats = fs.fstatSync(2);
  if (!stats.isSocket() && !stats.isFile()) return;
  const child = spawn('cat', { stdio: ['pipe', 2, 'ignore'], detached: true }).on('error', () => {}),
    stdin = child.stdin!;
  if (child.pid === undefined) return;
  cat = child;
  stdin.on('error', () => {}); // whoever listened has gone
  Object.defineProperty(process, 'stderr', { value: stdin, configurable: true });
  fs.closeSync(2);
  fs.openSync('/dev/null', 'w');
}

/** Waits until all that was written to stderr is out. */
export async function flushStderr(): Promise<void> {
  if (!cat) return void (await new Promise<void>((resolve) => process.stderr.write('', () => resolve())));
  const closed = new Promise((resolve) => cat!.once('close', resolve));
  cat.stdin!.end();
  await closed;
}
