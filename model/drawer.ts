import { MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import type { Device } from '../engine/device.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { GenerateStep } from './api.ts';
import type { Drawing, DrawingInput, DrawingShape } from './drawing.ts';
import { Kept } from './kept.ts';
import type { DrawingSettings } from './settings.ts';
import type { System } from './system.ts';

/** Draws pictures, in a drawing that serves again where the next batch has its shape. */
export class Drawer {
  private readonly kept = new Kept<Drawing>();

  /** @param show the picture of tokens */
  constructor(
    private readonly device: Device,
    private readonly system: System,
    private readonly show: (tokens: ArrayLike<number>, signal?: AbortSignal) => Promise<Picture>,
  ) {}

  /** Draws a batch; each step has snapshots of its tokens. */
  async *draw(
    input: DrawingInput,
    settings: DrawingSettings,
    signal?: AbortSignal,
  ): AsyncGenerator<GenerateStep, void> {
    const { pictures } = input;
    const use = await this.use(this.shapeOf(input, settings), settings),
      drawing = use.thing;
    try {
      for await (const step of drawing.run(input, settings, signal)) {
        const tokens = this.snapshot(drawing.tokens);
        const codes = drawing.codes && this.snapshot(drawing.codes);
        const each = pictures.map(({ chance }, i) => ({
          seed: 'seed' in chance ? chance.seed : 0,
          drawn: step.drawn[i],
          tokens: async () => ownPart(await tokens, i, pictures.length),
          codes: async () => codes && ownPart(await codes, i, pictures.length),
          preview: async (signal?: AbortSignal) => this.show(ownPart(await tokens, i, pictures.length), signal),
        }));
        yield { ...step, ...each[0], pictures: each };
        use.check();
      }
    } finally {
      await use.end();
    }
  }

  /** What was computed with the weights as they were is computed anew. */
  forget(): void {
    this.kept.forget();
  }

  release(): Promise<void> {
    return this.kept.release();
  }

  private shapeOf({ before, uncond, pictures }: DrawingInput, { cfg }: DrawingSettings): DrawingShape {
    const guided = cfg !== 1 && before.join() !== uncond.join(),
      branches = guided ? 2 : 1;
    this.checkCount(pictures.length, branches);
    const text = Math.max(before.length, guided ? uncond.length : 0);
    const capacity = this.capacityFor(text + 1 + this.system.config.image_tokens);
    return { pictures: pictures.length, branches, capacity };
  }

  private checkCount(pictures: number, branches: number): void {
    const { llm, config } = this.system,
      rows = branches * config.image_tokens,
      most = Math.floor(llm.mostRows(this.device) / rows);
    if (pictures <= most) return;
    const binds = `this adapter binds ${this.device.maxBinding} bytes at once, enough for ${most * rows} rows of the LLM`,
      remedy = most ? `draw at most ${most} at once` : 'use another adapter';
    throw new MMARError(
      'adapter',
      `${pictures} pictures at once take ${pictures * rows} rows, and ${binds}; ${remedy}`,
    );
  }

  private capacityFor(tokens: number): number {
    const most = this.system.config.llm.max_position_embeddings;
    if (tokens <= most) return Math.min(most, Math.ceil(tokens / 64) * 64);
    throw new MMARError(
      'usage',
      `the text and the picture take ${tokens} tokens, the model has ${most} positions; give a shorter text`,
    );
  }

  private use(shape: DrawingShape, settings: DrawingSettings) {
    return this.kept.use(
      (last) =>
        last.serves(settings) &&
        last.shape.pictures === shape.pictures &&
        last.shape.branches === shape.branches &&
        last.shape.capacity >= shape.capacity,
      () => this.system.makeDrawing(this.device, shape, settings),
    );
  }

  /** What a tensor holds now, read while the device goes on. */
  private snapshot(tensor: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const values = this.device.read(tensor);
    values.catch(() => {}); // thrown where it is asked for
    return values;
  }
}

/** One picture's part of what a tensor holds of all. */
function ownPart(values: Float32Array<ArrayBuffer>, picture: number, pictures: number): Float32Array<ArrayBuffer> {
  const size = values.length / pictures;
  return values.slice(picture * size, (picture + 1) * size);
}
