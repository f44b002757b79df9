/**
 * Decodes the PNGs that a canvas would spoil: 8-bit with an alpha channel, rows in order (W3C PNG, sections 7 to 9). A canvas
 * multiplies colours by their alpha, which loses bits; the browser's own inflate does the heavy part.
 */
import type { Picture } from '../base/platform.ts';

/** The picture, or undefined where it is a PNG of another kind. Throws where it is damaged. */
export async function decodeAlphaPNG(bytes: Uint8Array): Promise<Picture | undefined> {
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
      if (depth !== 8 || (colour !== 6 && colour !== 4) || interlaced) return undefined;
      [width, height, channels] = [view.getUint32(body), view.getUint32(body + 4), colour === 6 ? 4 : 2];
    } else if (type === chunk.IDAT) parts.push(bytes.subarray(body, body + length));
    at = body + length + 4;
  }
  const stream = new Blob(parts as Uint8Array<ArrayBuffer>[]).stream().pipeThrough(new DecompressionStream('deflate'));
  const rows = new Uint8Array(await new Response(stream).arrayBuffer()),
    pitch = width * channels;
  if (rows.length !== height * (pitch + 1)) throw new Error(`${rows.length} bytes for ${width}×${height} pixels`);
  const pixels = new Uint8ClampedArray(4 * width * height);
  let above = new Uint8Array(pitch);
  for (let y = 0; y < height; y++) {
    const start = y * (pitch + 1),
      row = rows.subarray(start + 1, start + 1 + pitch);
    unfilter(rows[start], row, above, channels);
    for (let x = 0; x < width; x++) {
      const from = x * channels,
        to = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) pixels[to + c] = row[from + (channels === 4 ? c : 0)];
      pixels[to + 3] = row[from + channels - 1];
    }
    above = row;
  }
  return { width, height, data: pixels };
}

const chunk = { IHDR: 0x49484452, IDAT: 0x49444154 };

/** Undoes a row's filter in place: each byte was told by what it differs from its neighbours. */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, step: number): void {
  if (filter > 4) throw new Error(`filter ${filter}`);
  for (let i = 0; filter && i < row.length; i++) {
    const a = i < step ? 0 : row[i - step],
      b = above[i],
      c = i < step ? 0 : above[i - step];
    row[i] += filter === 1 ? a : filter === 2 ? b : filter === 3 ? (a + b) >> 1 : paeth(a, b, c);
  }
}

function paeth(a: number, b: number, c: number): number {
  const p = a + b - c,
    toA = Math.abs(p - a),
    toB = Math.abs(p - b),
    toC = Math.abs(p - c);
  return toA <= toB && toA <= toC ? a : toB <= toC ? b : c;
}
