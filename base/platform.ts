/**
 * The one seam between mmar and the machine it runs on. Everything else in `engine`, `shaders`, `model` and `loaders`
 * is the same code in Node and in a browser.
 */

/** Named files by byte range: a folder, a base URL, files picked in a page. */
export interface Source {
  /** Where the files are, for messages. */
  readonly name: string;
  /** Bytes of `file`, or undefined where there is no such file. */
  size(file: string, signal?: AbortSignal): Promise<number | undefined>;
  /** Fills all of `into` with the bytes that start at `offset`; a `file` error where fewer are there. */
  read(file: string, offset: number, into: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Lets go of open files; the source can be used again. */
  close(): Promise<void>;
}

/** An image in memory: 8-bit sRGB with alpha, rows from the top, `data.length === 4 * width * height`. */
export interface Picture {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** What Node and a browser do differently with files and pictures. */
export interface Platform {
  /** Opens a checkpoint by its place: a folder's path in Node; a URL in both. */
  source(where: string): Source;
  /** Decodes a PNG, JPEG or WebP; a `picture` error where it is none. */
  decodePicture(bytes: Uint8Array, name: string): Promise<Picture>;
  /** Encodes a PNG. */
  encodePNG(picture: Picture): Promise<Uint8Array>;
}
