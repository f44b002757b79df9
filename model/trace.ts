import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, packRows, type Tensor } from '../engine/tensor.ts';
import type { Config } from './config.ts';
import type { DrawingInput } from './drawing.ts';
import { answerSettings, type DrawingKey, type DrawingSettings, drawingSettings, resolveSettings } from './settings.ts';
import type { System } from './system.ts';

/** A named tensor of a trace file. */
export interface TraceTensor {
  shape: number[];
  values: ArrayLike<number>;
  /** Outputs that are ids. */
  integers?: boolean;
}

export type TraceTensors = Map<string, TraceTensor>;

/** Named outputs of one run. */
export type Outputs = Record<string, TraceTensor>;

/** Runs one part of the graph. */
export type TraceRun = (t: Trace) => Promise<Outputs>;

/** What a part needs of a loaded model. */
export interface TracedModel {
  readonly device: Device;
  readonly config: Config;
  readonly system: System;
  readonly defaults: DrawingSettings;
  /** Pixels [3, S, S] to tokens, and of a codebook their numbers. */
  encodePixels(planes: Float32Array): Promise<{ tokens: Float32Array; codes?: Float32Array }>;
  /** Tokens to pixels [3, S, S]. */
  decodePixels(tokens: ArrayLike<number>): Promise<Float32Array>;
  /** Draws, and gives what there is at the end. */
  drawTokens(input: DrawingInput, settings: DrawingSettings): Promise<{ tokens: Float32Array; codes?: Float32Array }>;
  /** Ids that end an answer; none where the checkpoint has no tokenizer. */
  eosIds(): Promise<readonly number[]>;
}

/** Settings of the parts, which come as texts: those of drawing, and the length of an answer. */
export const traceSettings: readonly string[] = [...Object.keys(drawingSettings), 'max_new_tokens'];

/**
 * Runs one part of the graph on given tensors.
 * @param settings those of `traceSettings`, as texts; others are left alone
 */
export async function trace(
  model: TracedModel,
  part: string,
  inputs: TraceTensors,
  settings: Record<string, string> = {},
): Promise<TraceTensors> {
  const { traces } = model.system;
  if (!Object.hasOwn(traces, part))
    throw new MMARError(
      'usage',
      `a model of variant ${model.config.variant} has no part ${JSON.stringify(part)}; give one of ${Object.keys(traces).join(', ')}`,
    );
  const run = new Trace(model, part, inputs, settings);
  try {
    return new Map(Object.entries(await traces[part](run)));
  } finally {
    run.release();
  }
}

/** The inputs of one run, checked, and the device tensors made for it. */
export class Trace {
  private readonly made: Tensor[] = [];
  readonly config: Config;
  /** Image tokens, their channels, and the LLM's width. */
  readonly L: number;
  readonly d: number;
  readonly H: number;

  constructor(
    readonly model: TracedModel,
    private readonly part: string,
    private readonly inputs: TraceTensors,
    private readonly settings: Record<string, string>,
  ) {
    this.config = model.config;
    [this.L, this.d] = model.system.imageShape;
    this.H = model.config.llm.hidden_size;
  }

  has(name: string): boolean {
    return this.inputs.has(name);
  }

  private get(name: string): TraceTensor {
    const found = this.inputs.get(name);
    if (!found) {
      const names = [...this.inputs.keys()].join(', ') || 'none';
      throw new MMARError('usage', `trace ${this.part} needs the input ${name}; the file has ${names}`);
    }
    return found;
  }

  input(name: string, shape: number[]): ArrayLike<number> {
    const { shape: found, values } = this.get(name);
    if (found.join() !== shape.join())
      throw new MMARError('usage', `trace ${this.part}: ${name} is [${found.join(', ')}]; want [${shape.join(', ')}]`);
    return values;
  }

  /** Rows of a matrix whose number is free. */
  rows(name: string): number {
    return this.get(name).shape[0] ?? 0;
  }

  /** Ids of the vocabulary, or under `most`. */
  ids(name: string, most = this.config.llm.vocab_size): number[] {
    const ids = Array.from(this.input(name, [this.rows(name)]));
    const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < most));
    if (wrong !== undefined)
      throw new MMARError('usage', `trace ${this.part}: ${name} has the id ${wrong}; want ids from 0 to ${most - 1}`);
    return ids;
  }

  private number(name: string): number | undefined {
    const text = this.settings[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text.trim() && Number.isFinite(value)) return value;
    throw new MMARError('usage', `trace ${this.part}: ${name} is ${JSON.stringify(text)}; give a number`);
  }

  /** Settings of a drawing; of those not given, the parts compute without guidance, noise and schedule. */
  drawing(): DrawingSettings {
    const { system, defaults } = this.model;
    const given: Partial<Record<DrawingKey, unknown>> = {};
    for (const [key, { kind }] of Object.entries(drawingSettings)) {
      const name = key as DrawingKey;
      if (!system.settings[name]) continue;
      const text = this.settings[name];
      const words = kind === 'choice' || (kind === 'steps' && text?.includes(':'));
      given[name] = words ? text : this.number(name);
    }
    const plain = { ...defaults, cfg: 1, cfg_schedule: 'constant' as const, eta: 0, temperature: 1 };
    return resolveSettings(system.settings, plain, given, this.config.variant);
  }

  answer(): { temperature: number; top_p: number; seed: number; max_new_tokens: number } {
    const { temperature, top_p, seed } = answerSettings;
    const max_new_tokens = this.number('max_new_tokens') ?? 64;
    return { temperature: temperature.default, top_p: top_p.default, seed: Number(seed.default), max_new_tokens };
  }

  tensor(type: ElementType, shape: number[], values: ArrayLike<number>): Tensor {
    const tensor = this.model.device.tensor(this.part, type, shape);
    this.made.push(tensor);
    if (values.length) this.model.device.write(tensor, packRows(type, tensor.cols, values));
    return tensor;
  }

  upload(name: string, shape: number[], type: ElementType = 'f32'): Tensor {
    return this.tensor(type, shape, this.input(name, shape));
  }

  async evaluate<K extends string>(
    record: (p: Recorder) => Record<K, Tensor>,
    shapes: Record<K, number[]>,
  ): Promise<Record<K, TraceTensor>> {
    const values = await this.model.device.evaluate(`trace ${this.part}`, record);
    const outputs = {} as Record<K, TraceTensor>;
    for (const key of Object.keys(shapes) as K[]) outputs[key] = { shape: shapes[key], values: values[key] };
    return outputs;
  }

  release(): void {
    for (const tensor of this.made.splice(0)) this.model.device.release(tensor);
  }
}
