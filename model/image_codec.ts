import type { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import type { Program } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { pictureToPixels } from '../loaders/image.ts';
import { checkNumbers } from './checks.ts';
import type { System } from './system.ts';
import { Turns } from './turns.ts';

/** What an image is to the model. */
export interface Tokens {
  /** f32 [L, d] */
  tokens: Float32Array<ArrayBuffer>;
  /** [L], of a codebook. */
  codes?: Float32Array<ArrayBuffer>;
}

/** Images to tokens and back, one at a time, whatever else the model does. */
export class ImageCodec {
  private readonly turns = new Turns();
  private readonly decoder: Workspace;
  private input: Tensor | undefined;
  private pixels: Tensor | undefined;
  /** What was read last, and its tokens: a second question about it encodes nothing. */
  private last: { picture: Picture; tokens: Tokens } | undefined;

  constructor(
    private readonly device: Device,
    private readonly system: System,
  ) {
    this.decoder = new Workspace(device);
  }

  /** @param image gives [3, S, S] in [-1, 1] when it has its turn */
  encode(image: () => Promise<Float32Array>, signal?: AbortSignal): Promise<Tokens> {
    const { resolution: S, in_channels } = this.system.config.image_tokenizer;
    return this.turns.during(async () => {
      const planes = await image();
      checkNumbers('pixels', planes, [in_channels, S, S]);
      const workspace = new Workspace(this.device);
      try {
        const pixels = workspace.tensor('pixels', 'f32', [S * S, in_channels]);
        workspace.write(pixels, planesToRows(planes, in_channels));
        return await this.evaluate(pixels, signal);
      } finally {
        await workspace.release();
      }
    }, signal);
  }

  private evaluate(pixels: Tensor, signal?: AbortSignal): Promise<Tokens> {
    return this.device.evaluate(
      'encode',
      (p) => {
        p.part('encode');
        return { ...this.system.image_tokenizer.encode(p, pixels) } as Record<keyof Tokens, Tensor>;
      },
      signal,
    );
  }

  /** The tokens of a picture, those of the last one without computing them again. */
  async encodeOnce(picture: Picture, signal?: AbortSignal): Promise<Tokens> {
    if (this.last && samePicture(this.last.picture, picture)) return this.last.tokens;
    const { resolution } = this.system.config.image_tokenizer;
    const tokens = await this.encode(async () => pictureToPixels(picture, resolution), signal);
    this.last = { picture: { ...picture, data: picture.data.slice() }, tokens };
    return tokens;
  }

  /**
   * @param tokens f32 [L, d]
   * @returns pixels [3, S, S], not clamped
   */
  decode(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.turns.during(async () => {
      const { device, decoder } = this,
        program = await this.decoding();
      decoder.write(this.input!, tokens);
      await device.queue.run(program, signal);
      const rows = await device.read(this.pixels!);
      await device.queue.idle();
      return rowsToPlanes(rows, this.system.config.image_tokenizer.in_channels);
    }, signal);
  }

  /** Has what decoding takes compiled in time; whoever decodes hears of what fails. */
  expectDecoding(): void {
    this.decoding().catch(() => {});
  }

  private async decoding(): Promise<Program> {
    this.input ??= this.decoder.tensor('tokens to decode', 'f32', this.system.imageShape);
    const { input } = this;
    return this.decoder.program('decode', (p) => {
      p.part('decode');
      this.pixels = p.keep(this.system.image_tokenizer.decode(p, input));
    });
  }

  /** Waits for what runs, refuses what waits, and gives all memory back. */
  async close(reason: MMARError): Promise<void> {
    await this.turns.close(reason);
    this.device.queue.submit(); // the decoder may have been run, but not sent
    await this.decoder.release();
    if (this.pixels) this.device.release(this.pixels);
  }
}

function samePicture(a: Picture, b: Picture): boolean {
  return a.width === b.width && a.height === b.height && a.data.every((value, i) => value === b.data[i]);
}

/** [channels, pixels] to [pixels, channels]. */
export function planesToRows(planes: ArrayLike<number>, channels: number): Float32Array {
  const pixels = planes.length / channels;
  return Float32Array.from(
    { length: planes.length },
    (_, i) => planes[(i % channels) * pixels + Math.floor(i / channels)],
  );
}

/** [pixels, channels] to [channels, pixels]. */
export function rowsToPlanes(rows: ArrayLike<number>, channels: number): Float32Array {
  const pixels = rows.length / channels;
  return Float32Array.from({ length: rows.length }, (_, i) => rows[(i % pixels) * channels + Math.floor(i / pixels)]);
}
