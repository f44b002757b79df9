/**
 * Keeps blocks of files in the browser's own file system (OPFS), from visit to visit. Works in a worker, where that
 * gives synchronous access. A file is kept as `KEY.data` and, beside it, `KEY.json` that says what it is and has.
 */

import { MMARError } from '../base/error.ts';
import { blockBytes, type Keep, type KeptFile } from './block_source.ts';

/** The part of a `FileSystemSyncAccessHandle` that is used: the types of a page do not know it. */
interface SyncHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

interface Description {
  /** Without credentials and query. */
  url: string;
  size: number;
  tag: string;
  block: number;
  /** A character a block: `1` where it is here. */
  here: string;
}

/** All that is kept of one folder on a server. */
export interface KeptModel {
  url: string;
  /** Bytes on the disk. */
  bytes: number;
  /** Bytes of the files of which something is kept. */
  total: number;
}

/** The store of this origin; undefined where the browser has none, or not for this page. */
export async function opfsKeep(onNotice: (message: string) => void = () => {}): Promise<Keep | undefined> {
  if (!('FileSystemFileHandle' in globalThis && 'createSyncAccessHandle' in FileSystemFileHandle.prototype))
    return undefined;
  const folder = await keptFolder();
  if (!folder) return undefined;
  return {
    async find(url) {
      const found = await readDescription(folder, `${await keyOf(url)}.json`);
      return found && { size: found.size, tag: found.tag, whole: !found.here.includes('0') };
    },

    async open(url, size, tag) {
      const key = await keyOf(url);
      let data: SyncHandle | undefined, note: SyncHandle | undefined;
      try {
        data = await lock(folder, `${key}.data`);
        note = data && (await lock(folder, `${key}.json`));
      } catch {
        // out of space, or the store is broken: it is as if there were none
      }
      if (!data || !note) {
        data?.close();
        onNotice(`${last(url)} is in use by another tab, so this one does not keep it`);
        return undefined;
      }
      const old = parse(new TextDecoder().decode(readAll(note))),
        count = Math.ceil(size / blockBytes);
      const same =
        old &&
        old.url === url &&
        old.size === size &&
        old.tag === tag &&
        old.block === blockBytes &&
        old.here.length === count;
      const here = [...(same ? old.here : '0'.repeat(count))];
      const missing = here.reduce(
        (sum, c, i) => sum + (c === '1' ? 0 : Math.min(blockBytes, size - i * blockBytes)),
        0,
      );
      if (!same) data.truncate(0);
      const free = await freeBytes();
      if (missing > free) {
        data.close();
        note.close();
        if (!here.includes('1')) await removeKey(folder, key);
        onNotice(
          `${last(url)} is not kept: it needs ${megabytes(missing)}, this page may store ${megabytes(free)} more; delete a kept model to make room`,
        );
        return undefined;
      }
      return new OpfsFile(data, note, { url, size, tag, block: blockBytes, here: here.join('') });
    },
  };
}

class OpfsFile implements KeptFile {
  private readonly here: string[];
  private closed = false;

  constructor(
    private readonly data: SyncHandle,
    private readonly note: SyncHandle,
    private readonly description: Description,
  ) {
    this.here = [...description.here];
    this.describe();
  }

  has(block: number): boolean {
    return !this.closed && this.here[block] === '1';
  }

  read(offset: number, into: Uint8Array): void {
    const got = this.data.read(into, { at: offset });
    if (got !== into.length)
      throw new MMARError(
        'file',
        `${last(this.description.url)} is damaged in this browser's storage: delete it there and load it again`,
      );
  }

  write(block: number, bytes: Uint8Array): void {
    if (this.closed) throw new Error('closed');
    const written = this.data.write(bytes, { at: block * blockBytes });
    if (written !== bytes.length) throw new Error('the disk is full');
    this.data.flush();
    this.here[block] = '1';
    this.describe();
  }

  /** Said after the block itself is safe, so that a page that ends in between has lost that block alone. */
  private describe(): void {
    const text = new TextEncoder().encode(JSON.stringify({ ...this.description, here: this.here.join('') }));
    this.note.write(text, { at: 0 });
    this.note.truncate(text.length);
    this.note.flush();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.data.close();
    this.note.close();
  }
}

/** What is kept, a row for each model, in order of their addresses. */
export async function keptModels(): Promise<KeptModel[]> {
  const folder = await keptFolder(),
    models = new Map<string, KeptModel>();
  if (!folder) return [];
  for await (const name of folder.keys()) {
    const found = name.endsWith('.json') ? await readDescription(folder, name) : undefined;
    if (!found) continue;
    const url = folderOf(found.url),
      model = models.get(url) ?? { url, bytes: 0, total: 0 };
    models.set(url, model);
    model.total += found.size;
    for (const [i, bit] of [...found.here].entries())
      if (bit === '1') model.bytes += Math.min(found.block, found.size - i * found.block);
  }
  return [...models.values()].sort((a, b) => (a.url < b.url ? -1 : 1));
}

/** Deletes what is kept of a model. Throws `file` where it is in use. */
export async function deleteKeptModel(url: string): Promise<void> {
  const folder = await keptFolder(),
    wanted = url.replace(/\/+$/, '');
  if (!folder) return;
  const names: string[] = [];
  for await (const name of folder.keys()) if (name.endsWith('.json')) names.push(name);
  for (const name of names) {
    const found = await readDescription(folder, name);
    if (found && folderOf(found.url) !== wanted) continue; // an unreadable description helps nobody: it goes too
    try {
      await removeKey(folder, name.slice(0, -5));
    } catch (cause) {
      throw new MMARError('file', `${wanted} is in use: close the tab that has it open and delete it again`, { cause });
    }
  }
}

async function keptFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await navigator.storage.getDirectory()).getDirectoryHandle('mmar', { create: true });
  } catch {
    return undefined; // not over plain http, not in a private window …
  }
}

/** Opens a file for this worker alone; a page that was just left may hold it for a moment. */
async function lock(folder: FileSystemDirectoryHandle, name: string): Promise<SyncHandle | undefined> {
  const handle = (await folder.getFileHandle(name, { create: true })) as unknown as {
    createSyncAccessHandle(): Promise<SyncHandle>;
  };
  for (let tries = 0; tries < 20; tries++) {
    try {
      return await handle.createSyncAccessHandle();
    } catch (error) {
      if ((error as DOMException).name !== 'NoModificationAllowedError') throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  return undefined;
}

async function readDescription(folder: FileSystemDirectoryHandle, name: string): Promise<Description | undefined> {
  try {
    return parse(await (await (await folder.getFileHandle(name)).getFile()).text());
  } catch {
    return undefined;
  }
}

function parse(text: string): Description | undefined {
  try {
    const found = JSON.parse(text) as Description;
    return typeof found.url === 'string' && Number.isSafeInteger(found.size) && typeof found.here === 'string'
      ? found
      : undefined;
  } catch {
    return undefined;
  }
}

async function removeKey(folder: FileSystemDirectoryHandle, key: string): Promise<void> {
  for (const name of [`${key}.data`, `${key}.json`]) {
    await folder.removeEntry(name).catch((error: DOMException) => {
      if (error.name !== 'NotFoundError') throw error;
    });
  }
}

function readAll(handle: SyncHandle): Uint8Array {
  const bytes = new Uint8Array(handle.getSize());
  handle.read(bytes, { at: 0 });
  return bytes;
}

async function freeBytes(): Promise<number> {
  const { quota = Infinity, usage = 0 } = await navigator.storage.estimate().catch(() => ({}) as StorageEstimate);
  return Math.max(0, quota - usage);
}

async function keyOf(url: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(url));
  return [...new Uint8Array(digest, 0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

const folderOf = (url: string) => url.slice(0, url.lastIndexOf('/'));
const last = (url: string) => decodeURIComponent(url.slice(url.lastIndexOf('/') + 1));
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)} MB`;
