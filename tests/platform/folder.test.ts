// Folders and those that they lie in: made, found, or told why not.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeFolder } from '../../platform/folder.ts';
import { newFolder } from '../cli/mmar.ts';

const root = newFolder();

/** The code of the error that making a folder ends in. */
function codeOf(folder: string): string | undefined {
  try {
    makeFolder(folder);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
  return undefined;
}

test('several at once, and again', () => {
  const folder = path.join(root, 'a/b ü/c');
  makeFolder(folder);
  makeFolder(folder);
  assert.ok(fs.statSync(folder).isDirectory());
});

test('from where one stands', () => {
  const folder = path.relative('.', path.join(root, 'd/e'));
  makeFolder(folder);
  assert.ok(fs.statSync(folder).isDirectory());
});

test('a file in the way', () => {
  const file = path.join(root, 'file');
  fs.writeFileSync(file, '');
  assert.is(codeOf(file), 'EEXIST');
  assert.is(codeOf(path.join(file, 'in', 'it')), 'ENOTDIR');
});

(fs.existsSync('/proc/self') ? test : test.skip)('where the system makes none', () => {
  assert.is(codeOf('/proc/mmar/tuning'), 'ENOENT');
});

test.run();
