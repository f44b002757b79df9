/** Where the package and what it carries lie. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Where this package lies: the sources and their bundle are at different depths of it. */
export function packageRoot(): string {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    if (fs.existsSync(path.join(folder, 'package.json')) || folder === path.dirname(folder)) return folder;
  }
}

/** The default model, wherever the user stands. */
export const carriedCheckpoint = (): string => path.join(packageRoot(), 'checkpoints/emoji');
