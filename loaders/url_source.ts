import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';

/** A source over HTTP, with the request that it is made of: for those who keep or combine its answers. */
export interface UrlSource extends Source {
  /** The address of a file, query and all. */
  urlOf(file: string): URL;
  /** Asks for bytes `first` to `last`, both included. */
  request(file: string, first: number, last: number, signal?: AbortSignal, more?: RequestInit): Promise<Response>;
  /** Fills `into` from a response's body; `onBytes` hears of each part as it comes. */
  fill(
    file: string,
    response: Response,
    into: Uint8Array,
    signal?: AbortSignal,
    onBytes?: (bytes: number) => void,
  ): Promise<void>;
}

/**
 * Files below a base URL, read by HTTP range requests; the same in Node and in browsers (where the server must allow
 * the page to read its answers and their `Content-Range`).
 */
export function urlSource(base: string): UrlSource {
  const root = parseURL(base);
  const name = root.origin + root.pathname.replace(/\/+$/, ''); // a query may hold a key: it stays out of messages

  /** The version of each file that was seen first: bytes of two are never mixed. */
  const tags = new Map<string, string>();
  const checkTag = (file: string, response: Response): void => {
    const tag = tagOf(response);
    if ((tags.get(file) ?? tag) !== tag) {
      tags.delete(file); // who loads it again gets the new one
      throw changed(name, file);
    }
    tags.set(file, tag);
  };

  const urlOf = (file: string) => {
    const url = new URL(root);
    url.pathname = `${root.pathname.replace(/\/+$/, '')}/${file.split('/').map(encodeURIComponent).join('/')}`;
    return url;
  };

  async function request(
    file: string,
    first: number,
    last: number,
    signal?: AbortSignal,
    more: RequestInit = {},
  ): Promise<Response> {
    checkCancelled(signal);
    try {
      return await fetch(urlOf(file), {
        ...more,
        headers: { ...more.headers, Range: `bytes=${first}-${last}` },
        signal,
      });
    } catch (cause) {
      throw failed(file, 'cannot be reached: check the address and the network', cause, signal);
    }
  }

  async function fill(
    file: string,
    response: Response,
    into: Uint8Array,
    signal?: AbortSignal,
    onBytes?: (bytes: number) => void,
  ): Promise<void> {
    let filled = 0;
    const reader = response.body!.getReader();
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        if (filled + part.value.length > into.length) break;
        into.set(part.value, filled);
        filled += part.value.length;
        onBytes?.(part.value.length);
      }
    } catch (cause) {
      throw failed(file, `broke off after ${filled} of ${into.length} bytes: try again`, cause, signal);
    } finally {
      await reader.cancel().catch(() => {});
    }
    if (filled !== into.length) {
      throw new MMARError('file', `${name}/${file}: ${filled} bytes came for ${into.length}: try again`);
    }
  }

  return {
    name,
    urlOf,
    request,
    fill,
    async size(file, signal) {
      const response = await request(file, 0, 0, signal);
      await response.body?.cancel();
      if (response.status === 404 || response.status === 410) return undefined;
      const total = /\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1];
      if (response.status === 416 && total === '0') return 0; // an empty file has no first byte to give
      if (response.status !== 206) throw notARange(name, file, response);
      if (total === undefined) {
        throw new MMARError('file', `${name}/${file}: the server hides its length (Content-Range): use another`);
      }
      checkTag(file, response);
      return Number(total);
    },
    async read(file, offset, into, signal) {
      if (!into.length) return;
      const response = await request(file, offset, offset + into.length - 1, signal);
      if (response.status !== 206 || !response.body) {
        await response.body?.cancel();
        throw notARange(name, file, response);
      }
      try {
        checkTag(file, response);
        checkStart(name, file, response, offset);
      } catch (error) {
        await response.body.cancel();
        throw error;
      }
      await fill(file, response, into, signal);
    },
    async close() {},
  };

  function failed(file: string, problem: string, cause: unknown, signal?: AbortSignal): MMARError {
    if (signal?.aborted) return new MMARError('cancelled', 'cancelled', { cause: signal.reason });
    return new MMARError('file', `${name}/${file} ${problem}`, { cause });
  }
}

/** What tells one version of a file from another. */
export const tagOf = ({ headers }: Response): string => headers.get('ETag') ?? headers.get('Last-Modified') ?? '';

export const changed = (name: string, file: string): MMARError =>
  new MMARError('checkpoint', `${name}/${file} changed on the server while it was loaded: load it again`);

/** Throws `file` where a server says that it gives another range than it was asked for; some may not say it to a page. */
export function checkStart(name: string, file: string, { headers }: Response, first: number): void {
  const range = headers.get('Content-Range');
  if (range === null || range.startsWith(`bytes ${first}-`)) return;
  throw new MMARError('file', `${name}/${file}: asked from byte ${first} on, the server gave ${range}: use another`);
}

function parseURL(base: string): URL {
  try {
    return new URL(base);
  } catch (cause) {
    throw new MMARError('usage', `${base} is no URL: give https://…`, { cause });
  }
}

export function notARange(name: string, file: string, { ok, status, statusText }: Response): MMARError {
  if (ok)
    return new MMARError(
      'file',
      `${name}/${file}: the server knows no range requests: use one that does, or download it`,
    );
  return new MMARError(
    'file',
    `${name}/${file}: the server answers ${status} ${statusText}: check the address and your rights`,
  );
}
