/** What the tuner measured, in a file of the user's cache for each adapter, driver and version of Dawn. */
import crypto from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TuningStore } from '../engine/tuning.ts';
import { makeFolder } from './folder.ts';

const folder = (): string =>
  path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'mmar', 'tuning');

const fileOf = (identity: string): string =>
  path.join(folder(), `${crypto.createHash('sha256').update(identity).digest('hex').slice(0, 16)}.json`);

export const nodeTuning: TuningStore & { clear(): Promise<void> } = {
  async load(identity) {
    const text = await fs.readFile(fileOf(identity), 'utf8').catch(() => undefined);
    return text;
  },

  async save(identity, text) {
    const file = fileOf(identity),
      part = `${file}.${process.pid}`;
    try {
      makeFolder(folder());
      await fs.writeFile(part, text);
      await fs.rename(part, file); // whole or not at all
    } catch {
      await fs.rm(part, { force: true }).catch(() => {});
    }
  },

  /** Forgets every adapter's. */
  clear: () => fs.rm(folder(), { recursive: true, force: true }),
};
