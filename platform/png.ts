/**
 * PNG without a canvas (W3C PNG, sections 5 to 9): a canvas multiplies colours by their alpha, which loses bits, and browsers
 * that guard against fingerprinting change what is read from one. The browser's own deflate does the heavy part.
 */
import { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';

/** Channels of each colour type that is decoded here, 0: of none; palettes are not. */
const channelsOf = [1, 0, 3, 0, 2, 0, 4];

/**
 * The picture of a PNG of 8 bits a channel with its rows in order; undefined where it is of another kind, or is to be turned or
 * made transparent by a chunk of its own. Throws where it is damaged.
 */
export async function decodePNG(bytes: Uint8Array): Promise<Picture | undefined> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    parts: Uint8Array[] = [];
  let width = 0,
    height = 0,
    channels = 0;
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at),
      type = view.getUint32(at + 4),
      body = at + 8;
    if (type === chunk.IHDR) {
      const [depth, colour, , , interlaced] = bytes.subarray(body + 8, body + 13);
      if (depth !== 8 || !channelsOf[colour] || interlaced) return undefined;
      [width, height, channels] = [view.getUint32(body), view.getUint32(body + 4), channelsOf[colour]];
    } else if (type === chunk.tRNS || type === chunk.eXIf) return undefined;
    else if (type === chunk.IDAT) parts.push(bytes.subarray(body, body + length));
    at = body + length + 4;
  }
  const pitch = width * channels,
    rows = new Uint8Array(height * (pitch + 1)),
    filled = await fill(rows, piped(parts, new DecompressionStream('deflate')));
  if (filled < rows.length) throw new Error(`${filled} bytes for ${width}×${height} pixels`);
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  let above = new Uint8Array(pitch);
  for (let y = 0; y < height; y++) {
    const start = y * (pitch + 1),
      row = rows.subarray(start + 1, start + 1 + pitch);
    unfilter(rows[start], row, above, channels);
    for (let x = 0; x < width; x++) {
      const from = x * channels,
        to = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) pixels[to + c] = row[from + (channels > 2 ? c : 0)];
      if (channels % 2 === 0) pixels[to + 3] = row[from + channels - 1];
    }
    above = row;
  }
  return { width, height, data: pixels };
}

/** Encodes a PNG, without the alpha channel where all is opaque. */
export async function encodePNG({ width, height, data }: Picture): Promise<Uint8Array<ArrayBuffer>> {
  if (!width || !height || data.length !== 4 * width * height)
    throw new MMARError('picture', `a picture of ${width}×${height} cannot be encoded: it has ${data.length} bytes`);
  let opaque = true;
  for (let i = 3; i < data.length && opaque; i += 4) opaque = data[i] === 255;
  const channels = opaque ? 3 : 4,
    pitch = width * channels,
    rows = new Uint8Array(height * (pitch + 1));
  let above = new Uint8Array(pitch);
  for (let y = 0; y < height; y++) {
    const row = new Uint8Array(pitch);
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++) row[x * channels + c] = data[4 * (y * width + x) + c];
    rows.set(filtered(row, above, channels), y * (pitch + 1));
    above = row;
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint16(8, 0x800 + (opaque ? 2 : 6)); // 8 bits a channel, the colour type
  const packed = await new Response(piped([rows], new CompressionStream('deflate'))).arrayBuffer();
  const parts = [
    signature,
    chunkOf(chunk.IHDR, new Uint8Array(head.buffer)),
    chunkOf(chunk.IDAT, new Uint8Array(packed)),
    chunkOf(chunk.IEND, new Uint8Array()),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const chunk = { IHDR: 0x49484452, IDAT: 0x49444154, IEND: 0x49454e44, tRNS: 0x74524e53, eXIf: 0x65584966 };

const piped = (parts: Uint8Array[], through: CompressionStream | DecompressionStream) =>
  new Blob(parts as Uint8Array<ArrayBuffer>[]).stream().pipeThrough(through);

/** Reads until `into` is full or the stream ends, however much more it would give; returns the bytes read. */
async function fill(into: Uint8Array, stream: ReadableStream<Uint8Array>): Promise<number> {
  const reader = stream.getReader();
  let filled = 0;
  for (let part = await reader.read(); !part.done && filled < into.length; part = await reader.read()) {
    const bytes = part.value.subarray(0, into.length - filled);
    into.set(bytes, filled);
    filled += bytes.length;
  }
  await reader.cancel().catch(() => {});
  return filled;
}

/** A chunk: its length, type, body, and the check sum of type and body. */
function chunkOf(type: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(body.length + 12),
    view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  view.setUint32(4, type);
  bytes.set(body, 8);
  view.setUint32(body.length + 8, crc32(bytes.subarray(4, body.length + 8)));
  return bytes;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

/** A row as it is stored: the filter that leaves the smallest differences (section 12.7), then these. */
function filtered(row: Uint8Array, above: Uint8Array, step: number): Uint8Array {
  let best = new Uint8Array(),
    least = Infinity;
  for (let filter = 0; filter <= 4; filter++) {
    const out = new Uint8Array(row.length + 1);
    out[0] = filter;
    let sum = 0;
    for (let i = 0; i < row.length; i++) {
      const byte = (row[i] - predicted(filter, row, above, i, step)) & 255;
      out[i + 1] = byte;
      sum += byte < 128 ? byte : 256 - byte;
    }
    if (sum < least) [best, least] = [out, sum];
  }
  return best;
}

/** Undoes a row's filter in place. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  if (filter > 4) throw new Error(`filter ${filter}`);
  for (let i = 0; filter && i < row.length; i++) row[i] += predicted(filter, row, above, i, step);
}

/** What a filter expects of a byte by its neighbours to the left, above, and above that to the left (section 9.2). */
function predicted(filter: number, row: Uint8Array, above: Uint8Array, i: number, step: number): number {
  const a = i < step ? 0 : row[i - step],
    b = above[i],
    c = i < step ? 0 : above[i - step];
  switch (filter) {
    case 0:
      return 0;
    case 1:
      return a;
    case 2:
      return b;
    case 3:
      return (a + b) >> 1;
    default:
      return paeth(a, b, c);
  }
}

function paeth(a: number, b: number, c: number): number {
  const p = a + b - c,
    toA = Math.abs(p - a),
    toB = Math.abs(p - b),
    toC = Math.abs(p - c);
  return toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
}
