/**
 * Files of a server, read in blocks: many small reads become few requests, and a block that was read once can be kept
 * on the disk. Memory holds a few blocks, whatever a file's size.
 */

import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import { changed, checkStart, notARange, tagOf, urlSource } from '../loaders/url_source.ts';

export const blockBytes = 4 << 20;
const blocksInMemory = 8;
/** A server without ranges gives files whole: up to this size they are taken into memory where they cannot be kept. */
const mostInMemory = 64 << 20;
const pauses = [250, 1000]; // before each new try at a block, in ms

/** One file on the disk, block by block. */
export interface KeptFile {
  has(block: number): boolean;
  /** Reads from a block that it has. */
  read(offset: number, into: Uint8Array): void;
  /** Throws where the disk or the quota is full; what was kept before stays. */
  write(block: number, bytes: Uint8Array): void;
  close(): void;
}

/** A place that keeps files from visit to visit. */
export interface Keep {
  /**
   * Opens what is kept of a file, or room for it: undefined where it cannot be kept. `url` comes without its query. What
   * was kept of a file of another size or tag is dropped.
   */
  open(url: string, size: number, tag: string): Promise<KeptFile | undefined>;
  /** Size and tag of a file of which something is kept. */
  find(url: string): Promise<{ size: number; tag: string; whole: boolean } | undefined>;
}

/** What a download has done: bytes that came over the network, and bytes that were on the disk before. */
export interface Traffic {
  received: number;
  kept: number;
}

export interface BlockOptions {
  keep?: Keep;
  onTraffic?: (traffic: Traffic) => void;
}

/** Files below a URL by blocks; with `keep`, each block is fetched once and then read from the disk. */
export function blockSource(base: string, { keep, onTraffic }: BlockOptions = {}): Source {
  const http = urlSource(base),
    traffic: Traffic = { received: 0, kept: 0 };
  const files = new Map<string, Promise<RemoteFile | undefined>>();
  const count = (more: Partial<Traffic>) => {
    traffic.received += more.received ?? 0;
    traffic.kept += more.kept ?? 0;
    onTraffic?.({ ...traffic });
  };

  /** What is known of one file. */
  class RemoteFile {
    kept: KeptFile | undefined;
    /** Blocks on their way, and those few in memory. */
    private readonly blocks = new Map<number, Promise<Uint8Array>>();
    /** A server without ranges sent the file once, whole: its blocks cannot be had again. */
    private streamed = false;

    constructor(
      readonly name: string,
      public size: number,
      private readonly tag: string,
    ) {}

    get count(): number {
      return Math.ceil(this.size / blockBytes);
    }

    length(block: number): number {
      return Math.min(blockBytes, this.size - block * blockBytes);
    }

    async read(offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void> {
      if (offset + into.length > this.size) {
        throw new MMARError(
          'file',
          `${http.name}/${this.name} ends at byte ${this.size}, before ${offset + into.length}: get it again`,
        );
      }
      const first = Math.floor(offset / blockBytes),
        last = Math.floor((offset + into.length - 1) / blockBytes);
      for (let i = first; i <= last; i++) if (!this.kept?.has(i)) this.block(i, signal).catch(() => {}); // all at once
      // A reader that is past a block's middle will soon want the next one.
      const next = Math.floor((offset + into.length + blockBytes / 2) / blockBytes);
      if (next > last && next < this.count && !this.kept?.has(next)) this.block(next, signal).catch(() => {});
      for (let i = first; i <= last; i++) {
        checkCancelled(signal);
        const start = Math.max(offset, i * blockBytes),
          end = Math.min(offset + into.length, (i + 1) * blockBytes);
        const target = into.subarray(start - offset, end - offset);
        if (this.kept?.has(i)) this.kept.read(start, target);
        else target.set((await this.block(i, signal)).subarray(start - i * blockBytes, end - i * blockBytes));
      }
    }

    private async block(i: number, signal?: AbortSignal): Promise<Uint8Array> {
      let block = this.blocks.get(i);
      if (!block) {
        block = this.fetch(i, signal);
        this.hold(i, block);
      }
      try {
        return await block;
      } catch (error) {
        // Another reader's signal stopped it: this one's did not.
        if ((error as MMARError).code === 'cancelled' && !signal?.aborted) return this.block(i, signal);
        throw error;
      }
    }

    private hold(i: number, block: Promise<Uint8Array>): void {
      this.blocks.set(i, block);
      block.then(
        (bytes) => {
          if (this.put(i, bytes)) this.blocks.delete(i);
          else if (!this.streamed)
            for (const old of this.blocks.keys())
              if (this.blocks.size > blocksInMemory && old !== i) this.blocks.delete(old);
        },
        () => this.blocks.delete(i),
      );
    }

    /** Keeps a block on the disk; false where that cannot be. */
    private put(i: number, bytes: Uint8Array): boolean {
      try {
        this.kept?.write(i, bytes);
        return this.kept !== undefined;
      } catch {
        return false; // full: the block stays in memory for a while, the others remain on the disk
      }
    }

    private async fetch(i: number, signal?: AbortSignal): Promise<Uint8Array> {
      for (let attempt = 0; ; attempt++) {
        try {
          const from = i * blockBytes,
            sameOrigin = http.urlOf(this.name).origin === globalThis.location?.origin;
          // Other origins would be asked first whether that header is allowed; comparing the tag says the same.
          const headers: Record<string, string> =
            sameOrigin && this.tag.startsWith('"') ? { 'If-Range': this.tag } : {};
          const response = await http.request(this.name, from, from + this.length(i) - 1, signal, {
            headers,
            cache: 'no-store',
          });
          if (response.status !== 206 || tagOf(response) !== this.tag) {
            await response.body?.cancel();
            files.delete(this.name);
            if (response.status !== 206 && !response.ok) throw notARange(http.name, this.name, response);
            throw changed(http.name, this.name);
          }
          checkStart(http.name, this.name, response, from);
          return await this.take(i, response, signal);
        } catch (error) {
          const broken = error instanceof MMARError && error.code === 'file' && error.cause !== undefined; // the network's fault
          if (!broken || attempt >= pauses.length) throw error;
          await new Promise((resolve) => setTimeout(resolve, pauses[attempt]));
          checkCancelled(signal);
        }
      }
    }

    private async take(i: number, response: Response, signal?: AbortSignal): Promise<Uint8Array> {
      const bytes = new Uint8Array(this.length(i));
      await http.fill(this.name, response, bytes, signal, (received) => count({ received }));
      return bytes;
    }

    /** Takes the first block from the answer that told the size. */
    begin(response: Response, signal?: AbortSignal): void {
      this.hold(
        0,
        this.take(0, response, signal).catch((error: unknown) => {
          if (signal?.aborted) throw error;
          return this.fetch(0, signal);
        }),
      );
    }

    /** Takes the whole file from one answer, block by block. */
    async stream(response: Response, signal?: AbortSignal): Promise<void> {
      this.streamed = true;
      const reader = response.body!.getReader(),
        block = new Uint8Array(blockBytes);
      let filled = 0,
        at = 0,
        total = 0;
      const flush = () => {
        const bytes = block.slice(0, filled);
        if (!this.kept?.has(at) && !this.put(at, bytes)) {
          if (total > mostInMemory) throw notARange(http.name, this.name, response);
          this.blocks.set(at, Promise.resolve(bytes));
        }
        at++;
        filled = 0;
      };
      try {
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          total += part.value.length;
          count({ received: part.value.length });
          for (let used = 0; used < part.value.length; ) {
            const take = Math.min(blockBytes - filled, part.value.length - used);
            block.set(part.value.subarray(used, used + take), filled);
            used += take;
            filled += take;
            if (filled === blockBytes) flush();
          }
        }
        if (filled) flush();
        if (this.size !== unknown && total !== this.size)
          throw new MMARError('file', `${http.name}/${this.name}: ${total} bytes came for ${this.size}: try again`);
        this.size = total;
      } catch (cause) {
        files.delete(this.name);
        if (cause instanceof MMARError) throw cause;
        if (signal?.aborted) throw new MMARError('cancelled', 'cancelled', { cause: signal.reason });
        throw new MMARError('file', `${http.name}/${this.name} broke off after ${total} bytes: try again`, { cause });
      } finally {
        await reader.cancel().catch(() => {});
      }
    }
  }

  async function open(name: string, signal?: AbortSignal): Promise<RemoteFile | undefined> {
    const { origin, pathname } = http.urlOf(name),
      url = origin + pathname;
    const known = await keep?.find(url);
    let response: Response;
    try {
      // The answer's body is the first block, unless that may be here already.
      response = await http.request(name, 0, known ? 0 : blockBytes - 1, signal, { cache: 'no-store' });
    } catch (error) {
      if (!known?.whole || (error as MMARError).code === 'cancelled') throw error;
      const file = new RemoteFile(name, known.size, known.tag); // no network, and none needed
      file.kept = await keep!.open(url, known.size, known.tag);
      if (!file.kept) throw error;
      count({ kept: file.size });
      return file;
    }
    const tag = tagOf(response),
      total = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1];
    const missing = response.status === 404 || response.status === 410,
      empty = response.status === 416 && total === '0';
    if (response.status !== 200 && (response.status !== 206 || known)) await response.body?.cancel();
    if (missing) return undefined;
    if (empty) return new RemoteFile(name, 0, tag);
    if (response.status === 206) {
      if (total === undefined) {
        await response.body?.cancel();
        throw new MMARError(
          'file',
          `${http.name}/${name}: the server hides its length (Content-Range): let it expose that header`,
        );
      }
      const file = new RemoteFile(name, Number(total), tag);
      file.kept = await keep?.open(url, file.size, tag);
      let here = 0;
      for (let i = 0; i < file.count; i++) if (file.kept?.has(i)) here += file.length(i);
      if (here) count({ kept: here });
      if (!known) file.begin(response, signal);
      return file;
    }
    if (response.status !== 200) throw notARange(http.name, name, response);
    // No ranges: once, whole. The length of a compressed answer is not the file's.
    const length = response.headers.get('Content-Encoding') ? null : response.headers.get('Content-Length');
    const file = new RemoteFile(name, length === null ? unknown : Number(length), tag);
    if (length !== null) file.kept = await keep?.open(url, file.size, tag);
    if (!file.kept && file.size > mostInMemory && length !== null) {
      await response.body?.cancel();
      throw notARange(http.name, name, response);
    }
    await file.stream(response, signal);
    return file;
  }

  function fileOf(name: string, signal?: AbortSignal): Promise<RemoteFile | undefined> {
    let file = files.get(name);
    if (!file) {
      file = open(name, signal);
      files.set(name, file);
      file.then(
        (found) => found ?? files.delete(name),
        () => files.delete(name),
      ); // it may be there at the next call
    }
    return file;
  }

  return {
    name: http.name,
    async size(name, signal) {
      return (await fileOf(name, signal))?.size;
    },
    async read(name, offset, into, signal) {
      if (!into.length) return;
      const file = await fileOf(name, signal);
      if (!file) throw new MMARError('file', `${http.name} has no ${name}: check the address`);
      await file.read(offset, into, signal);
    },
    async close() {
      for (const file of [...files.values()]) (await file.catch(() => undefined))?.kept?.close();
      files.clear();
    },
  };
}

const unknown = Infinity;

/** What tells one version of a file from another; empty where the server says nothing. */
