import { MMARError } from '../base/error.ts';
import type { Recorder } from './program.ts';
import type { Tensor } from './tensor.ts';

/**
 * Records what leads back from an operation's results to its inputs: given dy, it records the dispatches that make the
 * inputs' gradients and hands each to `give` (or adds it to `sink`), for those inputs that `wants` says yes to.
 * @param dy gradient of the first result that has one; an operation of several results asks `gradient` for each
 */
export type Back = (dy: Tensor) => void;

/** Records a + b, a new tensor of a's type; in `into`, `into += b`. */
export type Add = (p: Recorder, a: Tensor, b: Tensor, into?: Tensor) => Tensor;

interface Entry {
  name: string;
  outputs: readonly Tensor[];
  back: Back | undefined;
}

/**
 * Reverse mode: while a program is recorded, each operation leaves here how to go back; `backward` walks these once, last
 * to first, and so records the backward pass behind the forward one. Operations that lead from nothing that learns
 * leave nothing, and nothing is computed towards an input from which nothing learns.
 *
 * Gradients of activations have the activations' type, those of learned tensors are f32 and are added to what their sinks
 * hold already, so that passes add up. A tensor that several operations write in place (a cache) has one gradient over all
 * its rows; whoever goes back over a write must leave zeros in the rows it wrote: what stood there before has no influence.
 */
export class Tape {
  private readonly wanted: Set<Tensor>;
  private readonly entries: Entry[] = [];
  private readonly gradients = new Map<Tensor, Tensor>();
  /** Whether the backward pass is being recorded: its own operations leave nothing. */
  private walking = false;

  /**
   * @param learned each tensor that learns, and the f32 tensor of its shape that its gradient is added to
   * @param add how two gradients of one tensor add up
   * @param recompute keeps of each block only what goes in and comes out
   */
  constructor(
    private readonly recorder: Recorder,
    private readonly learned: ReadonlyMap<Tensor, Tensor>,
    private readonly add: Add,
    private readonly recompute = false,
  ) {
    this.wanted = new Set(learned.keys());
  }

  /** Whether the gradient of `t` is needed: it learns, or was made from what learns. */
  wants(t: Tensor | undefined): boolean {
    return t !== undefined && this.wanted.has(t);
  }

  /**
   * An operation's mark. Without `back` it may still stand where no gradient comes by.
   * @param output what it wrote
   * @param inputs what its result depends on
   */
  leave(output: Tensor | readonly Tensor[], inputs: readonly Tensor[], back: Back | undefined, name?: string): void {
    if (this.walking || !inputs.some((t) => this.wanted.has(t))) return;
    const outputs = Array.isArray(output) ? (output as readonly Tensor[]) : [output as Tensor];
    for (const t of outputs) this.wanted.add(t);
    this.entries.push({ name: name ?? outputs[0]?.name ?? '', outputs, back });
  }

  /**
   * A model's block (see `Recorder.block`). Recomputing, its operations leave one entry in place of theirs, which records them
   * once more when the way back comes by, by the same calls and so with the same bits: what they made need not be kept till then.
   */
  block(record: () => Tensor, always: boolean): Tensor {
    const first = this.entries.length,
      y = record();
    if (!(this.recompute || always) || this.entries.length === first) return y;
    const inside = this.entries.splice(first),
      written = inside.flatMap(({ outputs }) => outputs).filter((t) => !this.recorder.isScratch(t));
    const back: Back = () => {
      const dy = this.gradients.get(y);
      this.walking = false;
      const again = record();
      this.walking = true;
      if (dy && again !== y) this.give(again, dy);
    };
    this.entries.push({ name: 'block', outputs: [...new Set([y, ...written])], back });
    return y;
  }

  /** The gradient of an operation's result, as far as it has come together. */
  gradient(t: Tensor): Tensor | undefined {
    return this.gradients.get(t);
  }

  /** Where the gradient of a learned tensor is to be added (f32, its shape); undefined for any other tensor. */
  sink(t: Tensor): Tensor | undefined {
    return this.learned.get(t);
  }

  /** Adds `g` to the gradient of `t`. `g` is not written to any more: it may stand for several tensors' gradients. */
  give(t: Tensor, g: Tensor): void {
    if (!this.wanted.has(t)) return;
    if (g.rows !== t.rows || g.cols !== t.cols)
      throw new MMARError('shape', `the gradient ${g} does not fit ${t}; want its shape`);
    const sink = this.learned.get(t),
      before = this.gradients.get(t);
    if (sink) this.add(this.recorder, sink, g, sink);
    else this.gradients.set(t, before ? this.add(this.recorder, before, g) : g);
  }

  /**
   * Records the backward pass.
   * @param loss f32 [1], or several whose sum is meant
   * @param one f32 [1] that holds 1: d loss / d loss
   */
  backward(loss: Tensor | readonly Tensor[], one: Tensor): void {
    for (const t of Array.isArray(loss) ? (loss as readonly Tensor[]) : [loss as Tensor]) {
      if (!this.wanted.has(t))
        throw new MMARError('usage', `nothing learns from the loss ${t}; name what it depends on`);
      this.give(t, one);
    }
    this.walking = true;
    for (let entry = this.entries.pop(); entry; entry = this.entries.pop()) {
      const dy = entry.outputs.map((t) => this.gradients.get(t)).find(Boolean);
      if (!dy) continue;
      if (!entry.back)
        throw new MMARError('usage', `${entry.name} has no gradient, and what learns stands before it; learn less`);
      entry.back(dy);
    }
    this.walking = false;
  }
}
