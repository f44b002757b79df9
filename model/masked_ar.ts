import { checkCancelled, MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Program, Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { Workspace } from '../engine/workspace.ts';
import { repeatRows } from '../shaders/gather_rows.ts';
import type { Drawing, DrawingInput, DrawingShape, DrawingStep, PictureInput } from './drawing.ts';
import type { EmbeddingViT } from './embedding_vit.ts';
import type { ImageState, Qwen2 } from './qwen2.ts';
import { guidanceAt, hiddenAfter } from './sampler.ts';
import { Sequence } from './sequence.ts';
import type { DrawingSettings } from './settings.ts';
import type { Activations } from './weights.ts';

/** What a token head works on. */
export interface Canvas {
  device: Device;
  pictures: number;
  branches: 1 | 2;
  activations: Activations;
  /** f32 [pictures × L, d] */
  tokens: Tensor;
  /** u32 [pictures × L], 1: hidden */
  mask: Tensor;
  /** z of the rows `chosen` of `tokens`, [branches × chosen, H]. */
  hidden(p: Recorder, chosen: Tensor): Tensor;
}

/** What an iteration asks of a head. */
export interface HeadStep {
  /** Rows of `Canvas.tokens` to draw. */
  chosen: Uint32Array<ArrayBuffer>;
  /** ω */
  guidance: number;
  /** Tokens of each picture that are known before, of how many. */
  known: number;
  total: number;
}

/** Draws tokens from the LLM's hidden states at their positions. */
export interface TokenHead {
  /** u32 [pictures × L], where it draws codes. */
  readonly codes?: Tensor;
  serves(settings: DrawingSettings): boolean;
  /** Before the first iteration of a batch. */
  begin(pictures: readonly PictureInput[], settings: DrawingSettings, signal?: AbortSignal): Promise<void>;
  /** Makes what drawing so many tokens at once takes, while the device still draws others. */
  expect(count: number, step: Pick<HeadStep, 'known' | 'total'>): Promise<void>;
  /** Draws tokens, writes them to their places and marks these as known. */
  draw(step: HeadStep, signal?: AbortSignal): Promise<void>;
  /** See `Drawing.forget`. */
  forget(): void;
  release(): Promise<void>;
}

/** The parts of a masked AR besides its head. */
export interface MaskedParts {
  activations: Activations;
  llm: Qwen2;
  vit: EmbeddingViT;
  /** L and d. */
  imageShape: readonly [number, number];
}

/**
 * The masked-AR loop (spec section 6) for one shape of rows: programs are recorded once and serve every batch whose text
 * fits. Rows are branches × pictures, the conditional branch first.
 */
export class MaskedAR implements Drawing {
  readonly tokens: Tensor;
  private readonly workspace: Workspace;
  private readonly sequence: Sequence;
  private readonly head: TokenHead;
  private readonly mask: Tensor;
  private readonly state: ImageState;
  private readonly everywhere: Tensor;

  constructor(
    private readonly device: Device,
    private readonly parts: MaskedParts,
    readonly shape: DrawingShape,
    makeHead: (canvas: Canvas) => TokenHead,
  ) {
    const { pictures, branches, capacity } = shape;
    const [L, d] = parts.imageShape;
    this.workspace = new Workspace(device);
    const make = this.workspace.tensor.bind(this.workspace);
    this.sequence = new Sequence(device, parts.llm, capacity, { groups: branches, copies: pictures });
    this.tokens = make('tokens', 'f32', [pictures * L, d]);
    this.mask = make('mask', 'u32', [pictures * L]);
    this.everywhere = make('positions', 'u32', [pictures * L]);
    this.state = parts.llm.imageState(this.workspace, branches * pictures * L);
    const { tokens, mask, state } = this;
    const { context } = this.sequence;
    const hidden = (p: Recorder, chosen: Tensor): Tensor => {
      p.part('LLM');
      return parts.llm.imageRows(p, state, context, chosen, branches);
    };
    this.head = makeHead({ device, pictures, branches, activations: parts.activations, tokens, mask, hidden });
    this.workspace.write(
      this.everywhere,
      Uint32Array.from({ length: pictures * L }, (_, i) => i),
    );
  }

  get codes(): Tensor | undefined {
    return this.head.codes;
  }

  serves(settings: DrawingSettings): boolean {
    return this.head.serves(settings);
  }

  /** Draws one batch of pictures, an iteration at a time. */
  async *run(input: DrawingInput, settings: DrawingSettings, signal?: AbortSignal): AsyncGenerator<DrawingStep> {
    const [L] = this.parts.imageShape;
    const { pictures } = input;
    const { iterations } = settings;
    const knownAfter = [0, ...hiddenAfter(L, iterations).map((hidden) => L - hidden)];
    // With more iterations than tokens some draw none.
    const drawing = knownAfter.flatMap((next, k) => (next > (knownAfter[k - 1] ?? next) ? [k] : []));
    await this.begin(input, settings, knownAfter[drawing[0]], signal);
    for (const [i, k] of drawing.entries()) {
      const [known, next] = [knownAfter[k - 1], knownAfter[k]],
        after = drawing[i + 1];
      const drawn = pictures.map(({ order }) => order.slice(known, next));
      const guidance = guidanceAt(settings.cfg, settings.cfg_schedule, next, L);
      const chosen = Uint32Array.from(drawn.flatMap((positions, i) => Array.from(positions, (at) => i * L + at)));
      await this.device.queue.run(await this.imageProgram(), signal);
      if (after !== undefined) this.expect(pictures.length, next, knownAfter[after]);
      await this.head.draw({ chosen, guidance, known, total: L }, signal);
      await this.device.queue.pace(signal);
      yield { iteration: k, iterations, drawn, known: next, total: L, guidance };
    }
    await this.device.queue.idle(signal);
  }

  /** All that comes before the first iteration: nothing is known, the text is read, the head has its noise. */
  private async begin(
    { before, uncond, pictures }: DrawingInput,
    settings: DrawingSettings,
    firstKnown: number,
    signal?: AbortSignal,
  ): Promise<void> {
    checkCancelled(signal);
    const [L, d] = this.parts.imageShape;
    for (const { order } of pictures) checkOrder(order, L);
    this.workspace.write(this.mask, new Uint32Array(pictures.length * L).fill(1));
    this.workspace.write(this.tokens, new Float32Array(pictures.length * L * d));
    const noise = this.head.begin(pictures, settings, signal);
    // What comes behind the text is compiled while the text is read.
    void this.imageProgram();
    this.expect(pictures.length, 0, firstKnown);
    await noise;
    for (const [group, text] of [before, uncond].slice(0, this.shape.branches).entries())
      await this.sequence.read([{ ids: [...text, this.parts.llm.image_start] }], { group, signal });
  }

  /** Has made in time what the iteration from `known` to `next` tokens of each picture takes; whoever needs it hears what fails. */
  private expect(pictures: number, known: number, next: number): void {
    const [total] = this.parts.imageShape;
    this.head.expect(pictures * (next - known), { known, total }).catch(() => {});
  }

  private imageProgram(): Promise<Program> {
    return this.workspace.program('image', (p) => this.imagePass(p));
  }

  /** What is known so far, through EmbeddingViT and LLM, but for what the last layer does for the positions to draw alone. */
  private imagePass(p: Recorder): void {
    const { vit, llm } = this.parts;
    p.part('EmbeddingViT');
    const visual = vit.forward(p, this.tokens, this.mask);
    p.part('LLM');
    repeatRows(p, visual, this.everywhere, this.shape.branches, this.state.x);
    llm.imagePass(p, this.state, this.sequence.context);
  }

  forget(): void {
    this.sequence.forget();
    this.head.forget();
  }

  async release(): Promise<void> {
    this.device.queue.submit(); // programs may have been run, but not sent
    await this.head.release();
    await this.sequence.release();
    await this.workspace.release();
  }
}

function checkOrder(order: Uint32Array, L: number): void {
  if (order.length !== L || new Set(order).size !== L || order.some((i) => i >= L))
    throw new MMARError('usage', `order is no permutation of the ${L} image tokens; give each of 0 to ${L - 1} once`);
}
