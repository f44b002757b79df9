import { MMARError } from '../base/error.ts';
import type { Recorder } from '../engine/program.ts';
import { type ElementType, packRows, type Tensor } from '../engine/tensor.ts';
import { advance } from '../shaders/advance.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import { samplerStep } from '../shaders/sampler_step.ts';
import type { MMARConfig } from './config.ts';
import type { DrawingSettings } from './drawing.ts';
import type { MMAR } from './mmar.ts';
import type { Parts } from './parts.ts';
import { chosenTimes, samplerCoefficients } from './sampler.ts';

/** A named tensor of a trace file. */
export interface TraceTensor {
  shape: number[];
  values: ArrayLike<number>;
  /** Outputs that are ids. */
  integers?: boolean;
}

export type TraceTensors = Map<string, TraceTensor>;

/** The parts of the graph that can be run alone (spec: trace.md). */
export const traceParts = [
  'encode',
  'decode',
  'visual',
  'hidden',
  'text',
  'diffusion',
  'sample',
  'generate',
  'describe',
] as const;
export type TracePart = (typeof traceParts)[number];

/**
 * Runs one part of the graph on given tensors.
 * @param settings `steps`, `cfg`, `cfg_schedule`, `eta`, `temperature`, `iterations`, `max_new_tokens`, as texts
 */
export async function trace(
  model: MMAR,
  part: string,
  inputs: TraceTensors,
  settings: Record<string, string> = {},
): Promise<TraceTensors> {
  const run = runs[part as TracePart];
  if (!run)
    throw new MMARError('usage', `there is no part ${JSON.stringify(part)}; give one of ${traceParts.join(', ')}`);
  return new Map(Object.entries(await run(new Trace(model, part, inputs, settings))));
}

type Outputs = Record<string, TraceTensor>;

const runs: Record<TracePart, (t: Trace) => Promise<Outputs>> = {
  async encode(t) {
    const { resolution: S, in_channels } = t.config.image_tokenizer,
      planes = t.input('pixels', [in_channels, S, S]);
    const values = await t.model.encodePixels(Float32Array.from(planes));
    return { tokens: { shape: [t.L, t.d], values } };
  },

  async decode(t) {
    const { resolution: S, in_channels } = t.config.image_tokenizer;
    return {
      pixels: { shape: [in_channels, S, S], values: await t.model.decodePixels(t.input('tokens', [t.L, t.d])) },
    };
  },

  visual: (t) =>
    t.evaluate(
      (p) => ({ visual: t.parts.vit.forward(p, t.upload('tokens', [t.L, t.d]), t.upload('mask', [t.L], 'u32')) }),
      { visual: [t.L, t.H] },
    ),

  async hidden(t) {
    const { llm, vit } = t.parts,
      before = t.ids('before'),
      after = t.ids('after', true);
    const head = [...before, llm.image_start],
      tail = [llm.image_end, ...after];
    const { context, last } = t.context([head, Array<number>(t.L).fill(0), tail]);
    const tokens = t.upload('tokens', [t.L, t.d]),
      mask = t.upload('mask', [t.L], 'u32');
    const parts = await t.evaluate(
      (p) => {
        const text = (count: number) => {
          const hidden = llm.forward(p, llm.embedTokens(p, context, count), context, 'text');
          advance(p, context.position, count);
          return hidden;
        };
        const first = text(head.length),
          image = llm.forward(p, vit.forward(p, tokens, mask), context, 'image');
        advance(p, context.position, t.L);
        const third = text(tail.length);
        return { first, image, third, logits: llm.logits(p, gatherRows(p, third, last)) };
      },
      { first: [head.length, t.H], image: [t.L, t.H], third: [tail.length, t.H], logits: [1, -1] },
    );
    const values = [parts.first, parts.image, parts.third].flatMap((x) => Array.from(x.values));
    return { hidden: { shape: [head.length + t.L + tail.length, t.H], values }, logits: t.vocabulary(parts.logits) };
  },

  async text(t) {
    const { llm } = t.parts,
      before = t.ids('before'),
      { context, last } = t.context([before]);
    const { hidden, logits } = await t.evaluate(
      (p) => {
        const hidden = llm.forward(p, llm.embedTokens(p, context, before.length), context, 'text');
        return { hidden, logits: llm.logits(p, gatherRows(p, hidden, last)) };
      },
      { hidden: [before.length, t.H], logits: [1, -1] },
    );
    return { hidden, logits: t.vocabulary(logits) };
  },

  diffusion(t) {
    const n = t.rows('x'),
      { diffusion } = t.parts,
      x = t.upload('x', [n, t.d]),
      time = t.upload('t', [n], 'u32'),
      z = t.upload('z', [n, t.H], t.parts.activations);
    return t.evaluate(
      (p) => {
        const modulation = diffusion.modulation(p, diffusion.condition(p, z), diffusion.times(p, time), t.zero(), 1, 1);
        return { out: diffusion.forward(p, x, modulation, 0) };
      },
      { out: [n, t.d] },
    );
  },

  async sample(t) {
    const n = t.rows('z'),
      { diffusion, activations } = t.parts,
      { steps, eta, temperature, cfg } = t.drawing();
    const guided = t.has('z_uncond'),
      branches = guided ? 2 : 1,
      z = Array.from(t.input('z', [n, t.H]));
    const both = t.tensor(
      activations,
      [branches * n, t.H],
      guided ? [...z, ...Array.from(t.input('z_uncond', [n, t.H]))] : z,
    );
    // The noise of a file is the first x, with the temperature in it already.
    const noise = Array.from(t.input('noise', [n, t.d])),
      x = t.tensor('f32', [branches * n, t.d], guided ? [...noise, ...noise] : noise);
    const { prediction, timesteps } = t.config.diffusion;
    const tables = {
      coefficients: t.tensor('f32', [steps, 4], samplerCoefficients(prediction, timesteps, steps, eta, temperature)),
      step: t.zero(),
      guidance: t.tensor('f32', [1], [cfg]),
      stepNoise:
        eta > 0
          ? t.tensor('f32', [steps * n, t.d], t.input('step_noise', [steps, n, t.d]))
          : t.tensor('f32', [steps, t.d], []),
      chosen: t.tensor(
        'u32',
        [n],
        Array.from({ length: n }, (_, i) => i),
      ),
    };
    const time = t.tensor('u32', [steps], chosenTimes(timesteps, steps).reverse());
    await t.evaluate((p) => {
      const condition = diffusion.condition(p, both),
        times = diffusion.times(p, time);
      for (let step = 0; step < steps; step++) {
        samplerStep(
          p,
          x,
          diffusion.forward(p, x, diffusion.modulation(p, condition, times, tables.step, 1), 0),
          tables,
          branches,
          0,
        );
        advance(p, tables.step, 1);
      }
      return {};
    }, {});
    const tokens = (await t.model.device.read(x)).subarray(0, n * t.d);
    t.release();
    return { tokens: { shape: [n, t.d], values: tokens } };
  },

  async generate(t) {
    const { steps, eta } = t.drawing(),
      order = Uint32Array.from(t.input('order', [t.L]));
    const stepNoise = eta > 0 ? t.input('step_noise', [steps, t.L, t.d]) : undefined;
    const input = {
      before: t.ids('before'),
      uncond: t.ids('uncond'),
      order,
      noise: { noise: t.input('noise', [t.L, t.d]), stepNoise },
    };
    let values = new Float32Array();
    for await (const step of t.model.draw(input, t.drawing()))
      if (step.known === step.total) values = await step.tokens();
    return { tokens: { shape: [t.L, t.d], values } };
  },

  async describe(t) {
    const ids: number[] = [],
      max_new_tokens = t.number('max_new_tokens', 64);
    const tokenizer = await t.model.tokenizer().catch(() => undefined); // a checkpoint without one has no end of text
    const settings = { temperature: 0, top_p: 1, seed: 0, max_new_tokens, eosIds: tokenizer?.eosIds ?? [] };
    for await (const id of t.model.read(
      { before: t.ids('before'), tokens: t.input('tokens', [t.L, t.d]), after: t.ids('after') },
      settings,
    ))
      ids.push(id);
    return { ids: { shape: [ids.length], values: ids, integers: true } };
  },
};

/** The inputs of one run, checked, and the device tensors made for it. */
class Trace {
  private readonly made: Tensor[] = [];
  readonly config: MMARConfig;
  readonly parts: Parts;
  readonly L: number;
  readonly d: number;
  readonly H: number;

  constructor(
    readonly model: MMAR,
    private readonly part: string,
    private readonly inputs: TraceTensors,
    private readonly settings: Record<string, string>,
  ) {
    ({ config: this.config, parts: this.parts } = model);
    ({
      image_tokens: this.L,
      image_tokenizer: { embed_dim: this.d },
      llm: { hidden_size: this.H },
    } = this.config);
  }

  has(name: string): boolean {
    return this.inputs.has(name);
  }

  private get(name: string): TraceTensor {
    const found = this.inputs.get(name);
    if (!found)
      throw new MMARError(
        'usage',
        `trace ${this.part} needs the input ${name}; the file has ${[...this.inputs.keys()].join(', ') || 'none'}`,
      );
    return found;
  }

  input(name: string, shape: number[]): ArrayLike<number> {
    const found = this.get(name);
    if (found.shape.join() !== shape.join())
      throw new MMARError(
        'usage',
        `trace ${this.part}: ${name} is [${found.shape.join(', ')}]; want [${shape.join(', ')}]`,
      );
    return found.values;
  }

  /** Rows of a matrix whose number is free. */
  rows(name: string): number {
    return this.get(name).shape[0] ?? 0;
  }

  ids(name: string, optional = false): number[] {
    if (optional && !this.has(name)) return [];
    const ids = Array.from(this.input(name, [this.rows(name)])),
      { vocab_size } = this.config.llm,
      wrong = ids.find((id) => !(id >= 0 && id < vocab_size));
    if (wrong !== undefined)
      throw new MMARError(
        'usage',
        `trace ${this.part}: ${name} has the id ${wrong}; want ids from 0 to ${vocab_size - 1}`,
      );
    return ids;
  }

  number(name: string, otherwise: number): number {
    const text = this.settings[name],
      value = text === undefined ? otherwise : Number(text);
    if (!Number.isFinite(value))
      throw new MMARError('usage', `trace ${this.part}: ${name} is ${JSON.stringify(text)}; give a number`);
    return value;
  }

  drawing(): DrawingSettings {
    const { defaults } = this.model,
      schedule = this.settings.cfg_schedule ?? 'constant';
    if (schedule !== 'constant' && schedule !== 'linear')
      throw new MMARError(
        'usage',
        `trace ${this.part}: cfg_schedule is ${JSON.stringify(schedule)}; give constant or linear`,
      );
    return {
      iterations: this.number('iterations', defaults.iterations),
      steps: this.number('steps', defaults.steps),
      cfg: this.number('cfg', 1),
      cfg_schedule: schedule,
      eta: this.number('eta', 0),
      temperature: this.number('temperature', 1),
    };
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

  zero(): Tensor {
    return this.tensor('u32', [1], [0]);
  }

  /** An LLM context with these runs of ids, and the number of the last run's last row. */
  context(runs: number[][]) {
    const ids = runs.flat(),
      context = this.parts.llm.context(this.model.device, 1, Math.max(1, ids.length));
    this.made.push(context.position, context.ids, ...context.layers.flatMap(({ k, v }) => [k, v]));
    if (!ids.length) throw new MMARError('usage', `trace ${this.part}: before is empty; give one id or more`);
    this.model.device.write(context.ids, packRows('u32', context.ids.cols, ids));
    return { context, last: this.tensor('u32', [1], [runs[runs.length - 1].length - 1]) };
  }

  /** The columns of logits that are words. */
  vocabulary({ values }: TraceTensor): TraceTensor {
    const { vocab_size } = this.config.llm;
    return { shape: [vocab_size], values: Array.from(values).slice(0, vocab_size) };
  }

  async evaluate<K extends string>(
    record: (p: Recorder) => Record<K, Tensor>,
    shapes: Record<K, number[]>,
  ): Promise<Record<K, TraceTensor>> {
    const values = await this.model.device.evaluate(`trace ${this.part}`, record),
      outputs = {} as Record<K, TraceTensor>;
    for (const key of Object.keys(shapes) as K[]) outputs[key] = { shape: shapes[key], values: values[key] };
    if (Object.keys(shapes).length) this.release();
    return outputs;
  }

  release(): void {
    for (const tensor of this.made.splice(0)) this.model.device.release(tensor);
  }
}
