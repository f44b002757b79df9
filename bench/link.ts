import { MMARError } from '../base/error.ts';
import { readReport } from './read_report.ts';
import type { Report } from './report.ts';

/** What a link may unpack to: a report has some 100,000 characters. */
const mostBytes = 4_000_000;

/** A report as text for an address: deflated, in base64 for URLs. */
export async function packReport(report: Report): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(report));
  const packed = await collect(new Blob([bytes]).stream().pipeThrough(new CompressionStream('deflate-raw')));
  let binary = '';
  for (const byte of packed) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** The report of such a text; a `file` error where it is none. */
export async function unpackReport(text: string): Promise<Report> {
  try {
    const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/')),
      bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
    const json = await collect(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')));
    return readReport(new TextDecoder().decode(json), 'the link');
  } catch (cause) {
    if (cause instanceof MMARError) throw cause;
    throw new MMARError('file', 'the link holds no whole report; copy it anew', { cause });
  }
}

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = stream.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    chunks.push(part.value);
    size += part.value.length;
    if (size <= mostBytes) continue;
    await reader.cancel();
    throw new MMARError('file', `the link holds over ${mostBytes} bytes; a report has fewer`);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
