import type { Device } from '../engine/device.ts';
import { dryDevice } from '../engine/dry.ts';
import type { Candidate, Dispatch, Operation, Recorder } from '../engine/program.ts';
import type { Piece, Tensor } from '../engine/tensor.ts';
import { gemm } from '../shaders/matmul.ts';
import { Figures } from './figures.ts';
import type { Sizes } from './sizes.ts';
import { madeModel } from './weights.ts';

/** A kernel's launch at one shape, as the programs of a model have it. */
export interface RecordedShape {
  /** The model's name. */
  model: string;
  dispatch: Dispatch;
  /** Every way to run it, the rule's choice first; the dispatch's own where there is but one. */
  candidates: Candidate[];
  /** How often drawing one picture runs it; 0 where reading or the image tokenizer alone does. */
  calls: number;
  /** What the model's programs had in its operands of whole numbers when it last ran. */
  contents: Map<Tensor, Uint32Array<ArrayBuffer>>;
  /** Operands that are weights. */
  weights: Set<Tensor>;
}

/**
 * Every kernel at every shape that a model of that `config.json` runs on such a device, from the model's own programs: it
 * reads text, draws a picture, and brings it to tokens and back, on a device that computes nothing.
 */
export async function recordShapes(like: Device, json: unknown, name: string): Promise<RecordedShape[]> {
  const { device } = dryDevice(like),
    recording = new Recording(device, name);
  const model = await madeModel(device, json, name);
  recording.weights = new Set(model.system.weights.tensors.flatMap(({ pieces }) => pieces));
  recording.begin();
  const figures = new Figures(model, Infinity, undefined, () => {});
  await figures.text();
  await figures.tokenizer();
  recording.drawing = true;
  await figures.drawing();
  return recording.shapes;
}

/** A matrix product of one's own shape, x [m, k] by the weights of a layer [n, k], as a model's would be recorded. */
export async function matmulShape(like: Device, [m, k, n]: Sizes): Promise<RecordedShape> {
  const { device } = dryDevice(like),
    recording = new Recording(device, 'one’s own'),
    a = device.tensor('x', 'bf16', [m, k]),
    b = device.tensor('weight', 'bf16', [n, k]);
  recording.weights = new Set(b.pieces);
  recording.begin();
  await device.queue.run(await device.record('matmul', (p) => void gemm(p, { a, b, transposeB: true })));
  return recording.shapes[0];
}

/** Listens to a dry device: which operations it records, what it writes, and how often it runs what. */
class Recording {
  weights = new Set<Piece>();
  drawing = false;
  private readonly found = new Map<string, RecordedShape>();
  private readonly operations = new Map<Dispatch, Operation>();
  /** A program's dispatches run again and again: each key is made once. */
  private readonly keys = new WeakMap<Dispatch, string>();
  private readonly written = new WeakMap<GPUBuffer, Uint32Array<ArrayBuffer>>();

  constructor(
    private readonly device: Device,
    private readonly model: string,
  ) {
    const { device: on, operations, written } = this,
      record = on.record.bind(on);
    on.record = (name, recordAll) =>
      record(name, (p) => {
        listen(p, operations);
        recordAll(p);
      });
    const write = on.gpu.queue.writeBuffer.bind(on.gpu.queue);
    on.gpu.queue.writeBuffer = (buffer, offset, data, ...rest) => {
      if (buffer.size <= mostContents) {
        const words = written.get(buffer) ?? new Uint32Array(buffer.size / 4),
          bytes = ArrayBuffer.isView(data)
            ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
            : new Uint8Array(data);
        new Uint8Array(words.buffer).set(bytes, offset);
        written.set(buffer, words);
      }
      write(buffer, offset, data, ...rest);
    };
  }

  get shapes(): RecordedShape[] {
    return [...this.found.values()];
  }

  /** From now on what runs counts. */
  begin(): void {
    this.device.queue.run = async (program) => {
      for (const dispatch of new Set(program.steps.map((step) => step.dispatch))) this.run(dispatch);
    };
  }

  private run(dispatch: Dispatch): void {
    const key = this.keys.get(dispatch) ?? keyOf(dispatch),
      known = this.found.get(key);
    const shape = known ?? {
      model: this.model,
      dispatch,
      candidates: candidatesOf(dispatch, this.operations.get(dispatch)),
      calls: 0,
      contents: new Map(),
      weights: new Set(dispatch.read.filter(({ pieces }) => this.weights.has(pieces[0]))),
    };
    this.keys.set(dispatch, key);
    this.found.set(key, shape);
    if (this.drawing) shape.calls++;
    // Of one key the first dispatch stands for all: its operands get what the last one's have now.
    [...dispatch.read, ...dispatch.write].forEach((tensor, i) => {
      const words = tensor.type === 'u32' && tensor.pieces[0].buffer && this.written.get(tensor.pieces[0].buffer),
        own = [...shape.dispatch.read, ...shape.dispatch.write][i];
      if (words) shape.contents.set(own, words.slice());
    });
    if (dispatch.name === 'advance') this.advance(dispatch);
  }

  /** The one kernel whose result the others' work depends on: how far a sequence is. */
  private advance({ write: [counter], uniforms: [first, count, by] }: Dispatch): void {
    const words = this.written.get(counter.buffer);
    for (let i = first; words && i < first + count; i++) words[i] += by;
  }
}

/** Larger operands of whole numbers than this the models have none. */
const mostContents = 1 << 20;

function listen(p: Recorder, operations: Map<Dispatch, Operation>): void {
  const operation = p.operation.bind(p);
  p.operation = (op) => {
    const before = p.dispatches.length;
    operation(op);
    const dispatch = p.dispatches[before];
    if (dispatch) operations.set(dispatch, op);
  };
}

function candidatesOf({ variant, source, constants, workgroups, uniforms }: Dispatch, op?: Operation): Candidate[] {
  if (op && 'candidates' in op) return op.candidates.map((c) => ({ ...c, uniforms: c.uniforms ?? op.uniforms }));
  return [{ variant, source, constants, workgroups, uniforms }];
}

/** What tells launches apart: not which layer's they are, nor whether it is for six rows or eight. */
const keyOf = ({ name, variant, constants, read, write }: Dispatch): string => {
  const upTo = (rows: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, rows)));
  const operands = [...read, ...write].map(({ type, rows, cols }) => `${type}[${upTo(rows)},${cols}]`);
  return [name, variant, JSON.stringify({ ...constants, tile_m: 0 }), ...operands].join(' ');
};

/** An operation's shape in words, beside a matrix product's m, k and n. */
export function shapeWords({ name, constants, write: [y], read }: Dispatch): string {
  const { act, low, bias, gate, residual, accumulate } = constants;
  const fused = { 'low rank': low, bias, gate, residual, accumulate };
  const words = Object.entries(fused).flatMap(([word, has]) => (has ? [word] : []));
  if (act && act !== 'none') words.push(String(act));
  if (y.type !== 'bf16') words.push(y.type);
  if (name === 'matmul') return words.join(', ');
  const [x] = read;
  return [x && x !== y ? `[${x.shape.join('×')}] → [${y.shape.join('×')}]` : `[${y.shape.join('×')}]`, ...words].join(
    ', ',
  );
}
