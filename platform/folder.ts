import fs from 'node:fs';
import path from 'node:path';

export function isFolder(place: string): boolean {
  try {
    return fs.statSync(place).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Makes a folder and those that it lies in. Not by Node's `recursive`, which never ends where the system says that a folder
 * just found is not there, such as in /proc. Throws what `mkdir` does.
 */
export function makeFolder(folder: string): void {
  if (isFolder(folder)) return;
  const parent = path.dirname(folder);
  if (parent !== folder && !fs.existsSync(parent)) makeFolder(parent);
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    if (!isFolder(folder)) throw error; // another process was first
  }
}
