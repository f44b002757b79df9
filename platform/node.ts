/** What is Node's own: files in folders, pictures through sharp, output that is whole or not there. */
import fs, { type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCancelled, MMARError } from '../base/error.ts';
import type { Picture, Platform, Source } from '../base/platform.ts';
import { MAX_PICTURE_PIXELS, pictureFormat } from '../loaders/image.ts';
import { urlSource } from '../loaders/url_source.ts';

export const nodePlatform: Platform = {
  source(where) {
    if (/^https?:\/\//i.test(where)) return urlSource(where);
    return folderSource(/^file:/i.test(where) ? pathOf(where) : where);
  },
  decodePicture,
  encodePNG,
};

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw new MMARError('usage', `${url} is no path on this machine: give file:///… or a path`, { cause });
  }
}

/** The most that one read asks for: between two of them a run can be stopped. */
const READ_AT_ONCE = 64 * 2 ** 20;

/** Files of a folder by positioned reads; each is opened once and kept open until `close`. */
export function folderSource(folder: string): Source {
  const open = new Map<string, Promise<FileHandle | undefined>>();

  function handleOf(file: string): Promise<FileHandle | undefined> {
    let handle = open.get(file);
    if (!handle) {
      handle = openFile(folder, file);
      open.set(file, handle);
      // What was not there may be there at the next call.
      handle.then(
        (found) => found ?? open.delete(file),
        () => open.delete(file),
      );
    }
    return handle;
  }

  return {
    name: folder,
    async size(file, signal) {
      checkCancelled(signal);
      const handle = await handleOf(file);
      const stats = await handle?.stat().catch((cause) => {
        throw cannot('read', path.join(folder, file), cause);
      });
      return stats?.size;
    },
    async read(file, offset, into, signal) {
      const full = path.join(folder, file);
      const handle = await handleOf(file);
      if (!handle) throw new MMARError('file', `${full} is not there: check the path`);
      for (let filled = 0; filled < into.length; ) {
        checkCancelled(signal);
        const wanted = Math.min(into.length - filled, READ_AT_ONCE);
        const { bytesRead } = await handle.read(into, filled, wanted, offset + filled).catch((cause) => {
          throw cannot('read', full, cause);
        });
        if (!bytesRead) {
          throw new MMARError(
            'file',
            `${full} ends at byte ${offset + filled}, before ${offset + into.length}: ` +
              `it is cut short, get it again`,
          );
        }
        filled += bytesRead;
      }
    },
    async close() {
      const handles = [...open.values()];
      open.clear();
      for (const handle of await Promise.allSettled(handles)) {
        if (handle.status === 'fulfilled') await handle.value?.close();
      }
    },
  };
}

/** Opens a plain file; undefined where there is none in a folder that is there. */
async function openFile(folder: string, file: string): Promise<FileHandle | undefined> {
  const full = path.join(folder, file);
  try {
    // Asked first, since opening a pipe would wait for its other end.
    const stats = await fs.stat(full);
    if (!stats.isFile()) {
      throw new MMARError('file', `${full} is ${stats.isDirectory() ? 'a folder' : 'no plain file'}: give a file`);
    }
    return await fs.open(full, 'r');
  } catch (cause) {
    if (cause instanceof MMARError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cannot('read', full, cause);
    if (
      await fs.lstat(full).then(
        () => true,
        () => false,
      )
    ) {
      throw new MMARError('file', `${full} is a link to a file that is not there: download it again`, { cause });
    }
    const stats = await fs.stat(folder).catch(() => undefined);
    if (!stats) throw new MMARError('file', `${folder} is not there: check the path`, { cause });
    if (!stats.isDirectory()) {
      throw new MMARError('file', `${folder} is no folder: give the folder that holds the checkpoint`, { cause });
    }
    return undefined;
  }
}

/**
 * Decodes PNG, JPEG or WebP (its first frame) to 8-bit sRGB, turned as its EXIF orientation says. `name` is for
 * messages. Throws `picture` for anything else, for damage, and for more than `MAX_PICTURE_PIXELS`.
 */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<Picture> {
  if (!pictureFormat(bytes)) {
    throw new MMARError('picture', `${name} is no picture that mmar reads: give a PNG, JPEG or WebP file`);
  }
  const { default: sharp } = await import('sharp');
  const damaged = (cause: unknown): never => {
    throw new MMARError('picture', `${name} is a damaged picture (${oneLine(cause)}): save it anew`, { cause });
  };
  const { width, height } = await sharp(bytes, { limitInputPixels: false }).metadata().catch(damaged);
  if (width * height > MAX_PICTURE_PIXELS) {
    throw new MMARError(
      'picture',
      `${name} has ${width}×${height} pixels, over ${MAX_PICTURE_PIXELS}: make it smaller`,
    );
  }
  const { data, info } = await sharp(bytes, { limitInputPixels: MAX_PICTURE_PIXELS, failOn: 'truncated' })
    .autoOrient()
    .toColourspace('srgb')
    .ensureAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch(damaged);
  const pixels = new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);
  return { width: info.width, height: info.height, data: pixels };
}

/** Encodes a PNG, without the alpha channel where all is opaque; the same picture gives the same bytes. */
export async function encodePNG({ width, height, data }: Picture): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const image = sharp(data, { raw: { width, height, channels: 4 } });
  let opaque = true;
  for (let i = 3; i < data.length && opaque; i += 4) opaque = data[i] === 255;
  const png = (opaque ? image.removeAlpha() : image).png({ compressionLevel: 9 });
  const encoded = await png.toBuffer().catch((cause: unknown) => {
    throw new MMARError('picture', `a picture of ${width}×${height} cannot be encoded: ${oneLine(cause)}`, { cause });
  });
  return new Uint8Array(encoded.buffer, encoded.byteOffset, encoded.length);
}

let written = 0;

/**
 * Writes a file that is either whole or not there: the bytes (or parts as they come) go to a hidden file beside it,
 * which then takes its name; on failure that file is removed and what was at `file` stays.
 *
 * Throws `file` where that cannot be done; an error from `bytes` passes through.
 */
export async function writeFileWhole(
  file: string,
  bytes: Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const parts = bytes instanceof Uint8Array ? [bytes] : bytes;
  const target = await fs.realpath(file).catch(() => file); // a link stays a link
  const stats = await fs.stat(target).catch(() => undefined);
  if (stats?.isDirectory()) throw new MMARError('file', `cannot write ${file}: it is a folder: give a file's name`);
  const special = stats !== undefined && !stats.isFile(); // a pipe or device is written to, never replaced
  const place = special ? target : path.join(path.dirname(target), `.mmar-${process.pid}-${++written}.part`);
  const attempt = <T>(step: Promise<T>) =>
    step.catch((cause: unknown) => {
      throw cannot('write', file, cause);
    });
  const handle = await attempt(fs.open(place, special ? 'w' : 'wx'));
  try {
    try {
      for await (const part of parts) {
        checkCancelled(signal);
        await attempt(handle.writeFile(part));
      }
      if (!special) await attempt(handle.sync());
    } finally {
      await attempt(handle.close());
    }
    if (!special) await attempt(fs.rename(place, target));
  } catch (error) {
    if (!special) await fs.rm(place, { force: true });
    throw error;
  }
}

/** What to do about the failures of a file system that one meets. */
const REMEDIES: Record<string, string> = {
  ENOENT: 'its folder is not there: make it first',
  ENOTDIR: 'a part of its path is no folder: check the path',
  EISDIR: 'it is a folder: give a file',
  EACCES: 'you may not: check its rights',
  EPERM: 'you may not: check its rights',
  EROFS: 'the disk is read-only: choose another',
  ENOSPC: 'the disk is full: free some space',
  EDQUOT: 'your quota is full: free some space',
  ENAMETOOLONG: 'its name is too long: choose a shorter one',
  EMFILE: 'too many files are open: close some or raise the limit',
  EBADF: 'it was closed meanwhile: open it again',
  EIO: 'the disk fails: try again or choose another',
};

/** That a file cannot be read or written, and what to do about it. */
export function cannot(verb: 'read' | 'write', file: string, cause: unknown): MMARError {
  const remedy = REMEDIES[(cause as NodeJS.ErrnoException).code ?? ''] ?? oneLine(cause);
  return new MMARError('file', `cannot ${verb} ${file}: ${remedy}`, { cause });
}

const oneLine = (cause: unknown) =>
  String((cause as Error)?.message ?? cause)
    .trim()
    .replace(/\s+/g, ' ')
    .slice(0, 300);
