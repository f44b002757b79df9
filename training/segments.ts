import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Workspace } from '../engine/workspace.ts';
import type { Context, Qwen2, Span } from '../model/qwen2.ts';

/** The most rows of text before and behind the image in any example of a pass. */
export interface Lengths {
  head: number;
  tail: number;
}

/**
 * Sequences `text … image_start | image | image_end text …` of several examples, side by side and of any lengths: each segment
 * has its own positions, so nothing moves on the device, and rows that pad a short text are overwritten by what follows
 * (spec: mmar.md, section 3.5).
 */
export class Segments {
  private readonly context: Context;
  private readonly positions: Record<'head' | 'image' | 'tail', Tensor>;

  constructor(
    private readonly workspace: Workspace,
    private readonly llm: Qwen2,
    private readonly image_tokens: number,
    readonly examples: number,
    readonly lengths: Lengths,
  ) {
    // Text that pads a head may reach behind the image, and a tail's behind the longest sequence.
    this.context = llm.context(workspace, examples, 2 * lengths.head + image_tokens + lengths.tail);
    const position = () => workspace.tensor('position', 'u32', [examples]);
    this.positions = { head: this.context.position, image: position(), tail: position() };
  }

  /** Ids of the examples' texts; image start and end are added. */
  write(texts: { before: readonly number[]; after?: readonly number[] }[]): void {
    const { llm, image_tokens: L, context, positions } = this,
      ids = new Uint32Array(this.examples * context.capacity);
    texts.forEach(({ before, after = [] }, i) => {
      const at = i * context.capacity;
      ids.set([...before, llm.image_start], at);
      ids.set([llm.image_end, ...after], at + before.length + 1 + L);
    });
    const starts = texts.map(({ before }) => before.length + 1);
    this.workspace.write(context.ids, ids);
    this.workspace.write(
      positions.head,
      starts.map(() => 0),
    );
    this.workspace.write(positions.image, starts);
    this.workspace.write(
      positions.tail,
      starts.map((start) => start + L),
    );
  }

  /** The text before the image: it fills the cache, nothing else is read of it. */
  head(p: Recorder): void {
    this.text(p, 'head', this.lengths.head);
  }

  /**
   * @param x what stands in the images' place, [examples × L, H]
   * @returns hidden states [examples × L, H]
   */
  image(p: Recorder, x: Tensor): Tensor {
    return this.forward(p, x, 'image', 'image');
  }

  /** The text behind the image: hidden states [examples × tail, H]. */
  tail(p: Recorder): Tensor {
    return this.text(p, 'tail', this.lengths.tail);
  }

  private text(p: Recorder, segment: 'head' | 'tail', count: number): Tensor {
    const context = { ...this.context, position: this.positions[segment] };
    return this.forward(p, this.llm.embedTokens(p, context, count), segment, 'text');
  }

  private forward(p: Recorder, x: Tensor, segment: 'head' | 'image' | 'tail', span: Span): Tensor {
    return this.llm.forward(p, x, { ...this.context, position: this.positions[segment] }, span);
  }
}
