/** Files that commands read and write; everything that can be wrong with them is found before a model is loaded. */
import fs from 'node:fs';
import path from 'node:path';
import { read_header, read_tensor, safetensors_bytes, to_f32, to_ints } from '../loaders/safetensors.ts';
import type { TraceTensors } from '../model/trace.ts';
import { MMARError } from '../platform/error.ts';
import { folder_source, node_platform, write_file_whole } from '../platform/node.ts';
import type { Picture } from '../platform/platform.ts';
import { usage } from './errors.ts';
import { cleanups, stop_signal } from './stop.ts';

export async function read_picture(file: string): Promise<Picture> {
  const source = folder_source(path.dirname(file)), name = path.basename(file);
  try {
    const size = await source.size(name, stop_signal);
    if (size === undefined) throw new MMARError('picture', `${file} is not there: check the path`);
    const bytes = new Uint8Array(size);
    await source.read(name, 0, bytes, stop_signal);
    return await node_platform.decode_picture(bytes, file);
  } finally {
    await source.close();
  }
}

/** All tensors of a safetensors file: reals as f32, integers as they are. */
export async function read_tensors(file: string): Promise<{ tensors: TraceTensors; metadata: Record<string, string> }> {
  const source = folder_source(path.dirname(file)), name = path.basename(file);
  try {
    const header = await read_header(source, name, stop_signal), tensors: TraceTensors = new Map();
    for (const [key, entry] of header.tensors) {
      const bytes = await read_tensor(source, name, entry, stop_signal), integers = /^([IU]|BOOL)/.test(entry.dtype);
      tensors.set(key, { shape: entry.shape, values: integers ? to_ints(entry, bytes) : to_f32(entry, bytes), integers });
    }
    return { tensors, metadata: header.metadata };
  } finally {
    await source.close();
  }
}

/** Writes ids as I64, everything else as F32. */
export async function write_tensors(file: string, tensors: TraceTensors, metadata: Record<string, string>): Promise<void> {
  const data = [...tensors].map(([name, { shape, values, integers }]) =>
    integers
      ? { name, shape, dtype: 'I64' as const, data: BigInt64Array.from(Array.from(values), BigInt) }
      : { name, shape, dtype: 'F32' as const, data: Float32Array.from(values) });
  await write(file, safetensors_bytes(data, metadata));
}

export async function write_picture(file: string, picture: Picture): Promise<void> {
  await write(file, await node_platform.encode_png(picture));
}

async function write(file: string, bytes: Uint8Array): Promise<void> {
  const clean = () => remove_parts(path.dirname(file));
  cleanups.add(clean);
  await write_file_whole(file, bytes, stop_signal);
  cleanups.delete(clean);
}

/** Removes what `write_file_whole` has not finished. */
function remove_parts(folder: string): void {
  for (const name of fs.readdirSync(folder)) if (name.startsWith(`.mmar-${process.pid}-`)) fs.rmSync(path.join(folder, name), { force: true });
}

export function is_folder(place: string): boolean {
  try {
    return fs.statSync(place).isDirectory();
  } catch {
    return false;
  }
}

/** Throws where `file` cannot be made: before the work, not after it. */
export function check_output(file: string, ...extensions: string[]): void {
  const folder = path.dirname(file), extension = path.extname(file).toLowerCase();
  if (!is_folder(folder)) throw new MMARError('file', `cannot write ${file}: ${folder} is ${fs.existsSync(folder) ? 'no folder: check the path' : 'not there: make that folder first'}`);
  if (is_folder(file)) throw new MMARError('file', `cannot write ${file}: it is a folder: give a file's name`);
  if (extension && !extensions.includes(extension)) throw usage(`cannot write ${file}: mmar writes ${extensions.join(' or ')} here; give a name that ends so`);
  try {
    fs.accessSync(folder, fs.constants.W_OK);
  } catch (cause) {
    throw new MMARError('file', `cannot write ${file}: you may not write into ${folder}: choose another folder`, { cause });
  }
}

/** `file`'s name with another extension, in the current folder. */
export const beside = (file: string, extension: string): string => path.basename(file, path.extname(file)) + extension;
