import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { type ElementType, packRows, roundUp, Tensor } from '../engine/tensor.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import type { Conv } from '../shaders/conv2d.ts';
import type { Affine } from '../shaders/layer_norm.ts';
import type { Linear, LowRank } from '../shaders/linear.ts';
import { type Block, count, type HeadLayout, inHeads, place, run } from './layout.ts';

/** Element type of activations: bf16, or f32 where the model is run in f32. */
export type Activations = 'bf16' | 'f32';

/** A tensor of the device, and which of the checkpoint's lie where in it. */
export interface Planned {
  readonly tensor: Tensor;
  readonly blocks: readonly Block[];
}

/**
 * The weights of a model, as its parts declare them (`linear`, `conv`, …): tensors without memory, and where in them the
 * checkpoint's lie, until `allocate` or `loadWeights`. Related matrices are stacked into one tensor, so that one kernel
 * serves them and nothing is held twice.
 */
export class Weights {
  /** As they lie where nothing is merged. */
  readonly declared: Planned[] = [];
  /** Layers with a low-rank part, and that part, which a layer has no more while it is merged. */
  readonly lowRank: { layer: Linear; lora: LowRank }[] = [];
  private readonly tables: { tensor: Tensor; values: ArrayLike<number> }[] = [];

  /** @param type how weights are stored: bf16, or f32 where a model kept in f32 would lose by it */
  constructor(
    readonly type: ElementType,
    readonly activations: Activations,
    readonly maxBinding: number,
  ) {}

  /** Every tensor of the device, and which of the checkpoint's lie where in it. */
  get layout(): readonly Planned[] {
    const merged = this.lowRank.filter(({ layer }) => layer.merged),
      gone = new Set(merged.flatMap(({ lora }) => [lora.a, lora.b]));
    return [
      ...this.declared.filter(({ tensor }) => !gone.has(tensor)),
      ...merged.map(({ layer }) => ({ tensor: layer.merged!, blocks: [] })),
    ];
  }

  get tensors(): Tensor[] {
    return this.layout.map(({ tensor }) => tensor);
  }

  get bytes(): number {
    return this.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Every tensor of the checkpoint that is asked for, with its shape. */
  get required(): Map<string, number[]> {
    return new Map(this.declared.flatMap(({ blocks }) => blocks.map(({ name, shape }) => [name, [...shape]])));
  }

  /** Whether low-rank parts are merged into matrices of their own. */
  get merged(): boolean {
    return this.lowRank.some(({ layer }) => layer.merged);
  }

  /** What merging would add to the weights, as a part of them. */
  get mergingAdds(): number {
    const added = this.lowRank.map(({ layer, lora }) => layer.weight.bytes - lora.a.bytes - lora.b.bytes);
    return added.reduce((sum, bytes) => sum + bytes, 0) / this.bytes;
  }

  /** A vector or matrix as it lies in the file; of a shape like [1, L, W] the last dimension is the row. */
  tensor(name: string, shape: number[]): Tensor {
    const cols = shape[shape.length - 1],
      rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
    return this.add(name, [rows, cols], [{ name, shape, rows: run(rows), cols: run(cols) }]);
  }

  /** Matrices of `cols` columns one below the other; 0 rows: the file has it as a vector. */
  rows(parts: [name: string, rows: number][], cols: number): Tensor {
    let first = 0;
    const blocks = parts.map(([name, rows]): Block => {
      const at = first;
      first += rows || 1;
      return { name, shape: rows ? [rows, cols] : [cols], rows: run(rows || 1, at), cols: run(cols) };
    });
    return this.add(parts[0][0], [first, cols], blocks);
  }

  /** An f32 vector that is computed, not loaded; it comes and goes with the weights. */
  table(name: string, values: ArrayLike<number>): Tensor {
    const tensor = new Tensor(name, 'f32', [values.length], this.maxBinding);
    this.tables.push({ tensor, values });
    return tensor;
  }

  affine(prefix: string, width: number): Affine {
    return { weight: this.tensor(`${prefix}.weight`, [width]), bias: this.tensor(`${prefix}.bias`, [width]) };
  }

  /** `prefix.weight` [out, in] and `prefix.bias` [out]. `shape` where the file has more dimensions (a 1×1 convolution). */
  linear(
    prefix: string,
    inFeatures: number,
    outFeatures: number,
    options: { bias?: boolean; takeRows?: number; conv1x1?: boolean } = {},
  ): Linear {
    return this.stacked([{ prefix, outFeatures }], inFeatures, { bias: true, ...options });
  }

  /** A 3×3 convolution, [out, in, 3, 3] laid out as [out, 3 × 3 × in] with `in` in whole quads. */
  conv(prefix: string, in_channels: number, outChannels: number): Conv {
    const pitch = roundUp(in_channels, 4),
      name = `${prefix}.weight`;
    const block: Block = {
      name,
      shape: [outChannels, in_channels, 3, 3],
      rows: run(outChannels),
      cols: {
        first: 0,
        digits: [
          [in_channels, 1],
          [9, pitch],
        ],
      },
    };
    return {
      weight: this.add(name, [outChannels, 9 * pitch], [block]),
      bias: this.tensor(`${prefix}.bias`, [outChannels]),
    };
  }

  /**
   * Linear layers of one input as one: outputs side by side, each in whole quads; PLoRA's A and B stacked
   * likewise. `inHeads`: the input comes in padded heads; `heads` of a part: so does its output. `fused`: a part is
   * itself that many blocks one after another (a ViT's qkv).
   */
  stacked(
    parts: { prefix: string; outFeatures: number; heads?: HeadLayout }[],
    inFeatures: number,
    options: {
      bias?: boolean;
      takeRows?: number;
      conv1x1?: boolean;
      inHeads?: HeadLayout;
      lora?: { rank: number; alpha: number };
    } = {},
  ): Linear {
    const { inHeads: headsIn, lora, takeRows, conv1x1 } = options;
    const cols = inHeads(inFeatures, headsIn),
      inPadded = headsIn ? headsIn.heads * roundUp(headsIn.dim, 4) : inFeatures,
      rank = lora ? roundUp(lora.rank, 4) : 0;
    const weight: Block[] = [],
      bias: Block[] = [],
      a: Block[] = [],
      b: Block[] = [],
      firstColumns: number[] = [];
    let out = 0;
    parts.forEach(({ prefix, outFeatures, heads }, i) => {
      const rows = inHeads(takeRows ?? outFeatures, heads, out);
      firstColumns.push(out);
      const shape = conv1x1 ? [outFeatures, inFeatures, 1, 1] : [outFeatures, inFeatures];
      weight.push({ name: `${prefix}.weight`, shape, rows, cols });
      if (options.bias) bias.push({ name: `${prefix}.bias`, shape: [outFeatures], rows: run(1), cols: rows });
      if (lora) {
        const [nameA, nameB] = ['A', 'B'].map((side) => `${prefix}.lora_${side}.weight`);
        a.push({ name: nameA, shape: [lora.rank, inFeatures], rows: run(lora.rank, i * rank), cols });
        b.push({ name: nameB, shape: [outFeatures, lora.rank], rows, cols: run(lora.rank) });
      }
      out = place(rows, count(rows) - 1) + 1;
      if (i < parts.length - 1 || heads) out = roundUp(out, 4);
    });
    const name = parts.map((p) => p.prefix).join('+');
    const layer: Linear = {
      weight: this.add(name, [out, inPadded], weight),
      bias: options.bias ? this.add(`${name}.bias`, [out], bias) : undefined,
      lora: lora && {
        a: this.add(`${name}.lora_A`, [parts.length * rank, inPadded], a),
        b: this.add(`${name}.lora_B`, [out, rank], b),
        scale: lora.alpha / lora.rank,
        firstColumns,
      },
    };
    if (layer.lora) this.lowRank.push({ layer, lora: layer.lora });
    return layer;
  }

  private add(name: string, shape: number[], blocks: Block[]): Tensor {
    const tensor = new Tensor(name, this.type, shape, this.maxBinding);
    this.declared.push({ tensor, blocks });
    return tensor;
  }

  /** Tensors that the checkpoint lacks, has in another shape, and has without use. */
  compare(checkpoint: Checkpoint): { missing: string[]; wrong: string[]; unexpected: string[] } {
    const { required } = this,
      missing: string[] = [],
      wrong: string[] = [];
    for (const [name, shape] of required) {
      const found = checkpoint.tensors.get(name)?.entry;
      if (!found) missing.push(name);
      else if (found.shape.join() !== shape.join())
        wrong.push(`${name} is [${found.shape.join(', ')}], want [${shape.join(', ')}]`);
      else if (!['BF16', 'F16', 'F32'].includes(found.dtype))
        wrong.push(`${name} is ${found.dtype}, want BF16, F16 or F32`);
    }
    return { missing, wrong, unexpected: [...checkpoint.tensors.keys()].filter((name) => !required.has(name)) };
  }

  /** Throws `checkpoint` where a tensor is missing or wrong. */
  check(checkpoint: Checkpoint): void {
    const { missing, wrong } = this.compare(checkpoint),
      faults = [...missing.map((name) => `tensor ${name} is missing`), ...wrong];
    if (!faults.length) return;
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more faults)` : '';
    throw new MMARError(
      'checkpoint',
      `${checkpoint.source.name}: ${faults[0]}${more}; check config.json, or run mmar inspect`,
    );
  }

  /** Gives every tensor its memory, and tables their values. */
  allocate(device: Device): void {
    for (const { tensor } of [...this.layout, ...this.tables]) allocate(device, tensor);
    for (const { tensor, values } of this.tables) device.write(tensor, packRows('f32', tensor.cols, values));
  }

  /** Gives the device memory back. */
  release(device: Device): void {
    for (const { tensor } of [...this.layout, ...this.tables]) device.release(tensor);
  }
}

/** Gives a tensor its memory, where it has none. */
export function allocate(device: Device, tensor: Tensor): void {
  for (const piece of tensor.pieces)
    piece.buffer ??= device.memory.create(Math.max(1, piece.rows) * tensor.rowBytes, tensor.name);
}
