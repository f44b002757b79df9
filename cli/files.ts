/** Files that commands read and write; everything that can be wrong with them is found before a model is loaded. */
import fs from 'node:fs';
import path from 'node:path';
import { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import { readHeader, readTensor, safetensorsBytes, toF32, toInts } from '../loaders/safetensors.ts';
import type { TraceTensors } from '../model/trace.ts';
import { isFolder } from '../platform/folder.ts';
import { cannot, folderSource, nodePlatform, writeFileWhole } from '../platform/node.ts';
import { usage } from './errors.ts';
import { cleanups, stopSignal } from './stop.ts';

export function readText(file: string): string {
  if (!fs.existsSync(file)) throw new MMARError('file', `${file} is not there: check the path`);
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (cause) {
    throw cannot('read', file, cause);
  }
}

export async function readPicture(file: string): Promise<Picture> {
  const source = folderSource(path.dirname(file)),
    name = path.basename(file);
  try {
    const size = await source.size(name, stopSignal);
    if (size === undefined) throw new MMARError('picture', `${file} is not there: check the path`);
    const bytes = new Uint8Array(size);
    await source.read(name, 0, bytes, stopSignal);
    return await nodePlatform.decodePicture(bytes, file);
  } finally {
    await source.close();
  }
}

/** All tensors of a safetensors file: reals as f32, integers as they are. */
export async function readTensors(file: string): Promise<{ tensors: TraceTensors; metadata: Record<string, string> }> {
  const source = folderSource(path.dirname(file)),
    name = path.basename(file);
  try {
    const header = await readHeader(source, name, stopSignal),
      tensors: TraceTensors = new Map();
    for (const [key, entry] of header.tensors) {
      const bytes = await readTensor(source, name, entry, stopSignal),
        integers = /^([IU]|BOOL)/.test(entry.dtype);
      tensors.set(key, { shape: entry.shape, values: integers ? toInts(entry, bytes) : toF32(entry, bytes), integers });
    }
    return { tensors, metadata: header.metadata };
  } finally {
    await source.close();
  }
}

/** Writes ids as I64, everything else as F32. */
export async function writeTensors(
  file: string,
  tensors: TraceTensors,
  metadata: Record<string, string>,
): Promise<void> {
  const data = [...tensors].map(([name, { shape, values, integers }]) =>
    integers
      ? { name, shape, dtype: 'I64' as const, data: BigInt64Array.from(Array.from(values), BigInt) }
      : { name, shape, dtype: 'F32' as const, data: Float32Array.from(values) },
  );
  await write(file, safetensorsBytes(data, metadata));
}

export async function writePicture(file: string, picture: Picture): Promise<void> {
  await write(file, await nodePlatform.encodePNG(picture));
}

export async function writeText(file: string, text: string): Promise<void> {
  await write(file, new TextEncoder().encode(text));
}

async function write(file: string, bytes: Uint8Array): Promise<void> {
  const clean = () => removeParts(path.dirname(file));
  cleanups.add(clean);
  try {
    await writeFileWhole(file, bytes, stopSignal);
  } finally {
    cleanups.delete(clean);
  }
}

/** Removes what `writeFileWhole` has not finished. */
function removeParts(folder: string): void {
  for (const name of fs.readdirSync(folder))
    if (name.startsWith(`.mmar-${process.pid}-`)) fs.rmSync(path.join(folder, name), { force: true });
}

/** Throws where `file` cannot be made: before the work, not after it. */
export function checkOutput(file: string, ...extensions: string[]): void {
  const folder = path.dirname(file),
    extension = path.extname(file).toLowerCase();
  if (!isFolder(folder))
    throw new MMARError(
      'file',
      `cannot write ${file}: ${folder} is ${fs.existsSync(folder) ? 'no folder: check the path' : 'not there: make that folder first'}`,
    );
  if (isFolder(file)) throw new MMARError('file', `cannot write ${file}: it is a folder: give a file's name`);
  if (extension && !extensions.includes(extension))
    throw usage(`cannot write ${file}: mmar writes ${extensions.join(' or ')} here; give a name that ends so`);
  try {
    fs.accessSync(folder, fs.constants.W_OK);
  } catch (cause) {
    throw new MMARError('file', `cannot write ${file}: you may not write into ${folder}: choose another folder`, {
      cause,
    });
  }
}

/** `file`'s name with another extension, in the current folder. */
export const beside = (file: string, extension: string): string => path.basename(file, path.extname(file)) + extension;
