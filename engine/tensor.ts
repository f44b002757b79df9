import { MMARError } from '../base/error.ts';

/** Element types in device memory: bf16 lies two to a u32, the earlier element in the lower half. */
export type ElementType = 'bf16' | 'f32' | 'u32' | 'i32';

export const elementBytes = (type: ElementType): number => (type === 'bf16' ? 2 : 4);

export const roundUp = (n: number, multiple: number): number => Math.ceil(n / multiple) * multiple;

/** A run of whole rows of a tensor, in a buffer that the adapter can bind at once. */
export interface Piece {
  firstRow: number;
  rows: number;
  /** Absent while a recorded program has not yet planned its memory. */
  buffer?: GPUBuffer;
}

/**
 * A matrix in device memory: all dimensions but the last are rows. Each row is padded with zeros to whole quads (four
 * elements), so that kernels load quads at any size; whoever writes a tensor writes its padding too.
 */
export class Tensor {
  /** Elements of one row. */
  readonly cols: number;
  readonly rows: number;
  /** Elements from one row to the next: `cols` in whole quads. */
  readonly pitch: number;
  pieces: Piece[];

  constructor(
    readonly name: string,
    readonly type: ElementType,
    readonly shape: readonly number[],
    maxBinding = Infinity,
  ) {
    if (!shape.length || shape.some((n) => !Number.isSafeInteger(n) || n < 0)) {
      throw new MMARError('shape', `${name}: [${shape}] is no shape; give whole numbers from 0 up`);
    }
    this.cols = shape[shape.length - 1];
    this.rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    this.pitch = roundUp(this.cols, 4);
    // Pieces hold a multiple of four rows, so that a matmul's quads of output columns never straddle two of them.
    const fit = Math.floor(maxBinding / this.rowBytes);
    const most = fit >= this.rows ? this.rows : fit - (fit % 4);
    if (most <= 0 && this.rows > 0) {
      throw new MMARError(
        'adapter',
        `${name}: a row takes ${this.rowBytes} bytes, the adapter binds ${maxBinding} at once; use another adapter`,
      );
    }
    this.pieces = [];
    for (let row = 0; row < this.rows; row += most)
      this.pieces.push({ firstRow: row, rows: Math.min(most, this.rows - row) });
    if (!this.rows) this.pieces.push({ firstRow: 0, rows: 0 });
  }

  get rowBytes(): number {
    return Math.max(4, this.pitch) * elementBytes(this.type);
  }

  get bytes(): number {
    return Math.max(1, this.rows) * this.rowBytes;
  }

  /** The buffer of a tensor that lies in one piece. */
  get buffer(): GPUBuffer {
    const [piece, ...others] = this.pieces;
    if (others.length)
      throw new MMARError(
        'adapter',
        `${this.name} [${this.shape}] takes ${this.bytes} bytes, more than the adapter binds at once, and here it is needed whole; choose another adapter or a smaller model`,
      );
    if (!piece.buffer)
      throw new MMARError(
        'shape',
        `${this.name} [${this.shape}] has no memory: it is used outside the program that made it`,
      );
    return piece.buffer;
  }

  /** Each piece as a tensor of its own: what an operation over a split tensor dispatches on, one after another. */
  parts(): { part: Tensor; firstRow: number }[] {
    if (this.pieces.length === 1) return [{ part: this, firstRow: 0 }];
    return this.pieces.map((piece) => {
      const part = new Tensor(`${this.name}[${piece.firstRow}:]`, this.type, [piece.rows, this.cols]);
      part.pieces = [piece];
      return { part, firstRow: piece.firstRow };
    });
  }

  toString(): string {
    return `${this.name} ${this.type}[${this.shape}]`;
  }
}

/** The four bytes of an f32 as the u32 that a uniform block carries. */
export function f32Bits(x: number): number {
  scratch.setFloat32(0, x);
  return scratch.getUint32(0);
}
const scratch = new DataView(new ArrayBuffer(4));

/** Rounds to bf16, nearest even; returns the upper 16 bits of the f32. */
export function bf16Bits(x: number): number {
  const u = f32Bits(x);
  if ((u & 0x7fffffff) > 0x7f800000) return (u >>> 16) | 0x40;
  return ((u + 0x7fff + ((u >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Lays values out as device rows: pitch padded with zeros, bf16 packed and rounded to nearest even. */
export function packRows(type: ElementType, cols: number, values: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const pitch = roundUp(cols, 4),
    rows = cols ? values.length / cols : 0;
  const out =
    type === 'bf16'
      ? new Uint16Array(rows * pitch)
      : type === 'f32'
        ? new Float32Array(rows * pitch)
        : new Uint32Array(rows * pitch);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const x = values[r * cols + c];
      out[r * pitch + c] = type === 'bf16' ? bf16Bits(x) : x;
    }
  }
  return new Uint8Array(out.buffer);
}

/** The inverse of `packRows`: device rows to plain values, without the padding. */
export function unpackRows(
  type: ElementType,
  rows: number,
  cols: number,
  bytes: ArrayBuffer,
): Float32Array<ArrayBuffer> {
  const pitch = roundUp(cols, 4),
    out = new Float32Array(rows * cols);
  const halves = new Uint16Array(bytes),
    words = new Uint32Array(bytes),
    floats = new Float32Array(bytes),
    outBits = new Uint32Array(out.buffer);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const from = r * pitch + c,
        to = r * cols + c;
      if (type === 'bf16') outBits[to] = halves[from] << 16;
      else out[to] = type === 'f32' ? floats[from] : type === 'i32' ? words[from] | 0 : words[from];
    }
  }
  return out;
}
