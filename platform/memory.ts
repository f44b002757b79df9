/** What this machine could give to a software adapter. */
import os from 'node:os';

/** Bytes of memory that are free for this process, the limits of its container included where Node knows them. */
export function availableMemory(): number {
  const { availableMemory } = process as { availableMemory?: () => number };
  return availableMemory ? availableMemory.call(process) : os.freemem();
}
