import { MMARError } from '../base/error.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Config } from '../model/config.ts';
import { gather } from '../model/layout.ts';
import type { MMAR } from '../model/mmar.ts';
import type { TraceTensor, TraceTensors } from '../model/trace.ts';
import { courseOf } from './course.ts';
import { graphOf } from './graph_of.ts';
import { chooseLearned } from './learned.ts';
import { Optimiser, type State } from './optimiser.ts';
import type { DrawingExample, ReadingExample } from './passes.ts';
import { Trainer } from './trainer.ts';

/** Settings of `trace train`, where the file gives none. */
const defaults = {
  lr: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weight_decay: 0.02,
  clip: 3,
  text_weight: 1,
  draws: 4,
};

/** The keys that `trace train` takes. */
export const trainTraceSettings = Object.keys(defaults);

/**
 * One step on given examples, one of each loss, and three steps on the same (spec: training.md, section 7).
 * @returns `loss_image`, `loss_text`, `grad_norm`, `grad.NAME` before clipping, `after3.NAME`
 */
export async function traceTrain(
  model: MMAR,
  inputs: TraceTensors,
  texts: Record<string, string> = {},
): Promise<TraceTensors> {
  const settings = { ...defaults };
  for (const key of Object.keys(defaults) as (keyof typeof defaults)[])
    if (texts[key] !== undefined) settings[key] = numberOf(key, texts[key]);
  const { device, system } = model,
    { drawing, reading } = examples(inputs, system.config, settings.draws);
  const optimiser = new Optimiser(device, chooseLearned(system.weights, 'paper', system.config), {
    ...settings,
    ema: 0,
  });
  const trainer = new Trainer(
    device,
    await graphOf(device, system, settings.draws),
    optimiser,
    {
      most: 1,
      shape: (task) => ({
        examples: 1,
        head: (task === 'drawing' ? drawing : reading).before.length + 1,
        tail: task === 'drawing' ? 0 : reading.after.length + 1,
        targets: task === 'drawing' ? drawing.hidden.length : reading.targets.filter((id) => id >= 0).length,
      }),
    },
    settings.text_weight,
  );
  const outputs: TraceTensors = new Map(),
    batch = { drawing: [drawing], reading: [reading] };
  try {
    await optimiser.begin();
    await trainer.gradients(batch);
    const gradients = await named(model, optimiser.states, 'gradient');
    const report = await (await trainer.update(0, settings.lr)).report;
    for (const n of [1, 2]) {
      await trainer.gradients(batch);
      await trainer.update(n, settings.lr);
    }
    const scalar = (value: number): TraceTensor => ({ shape: [1], values: [value] });
    outputs.set('loss_image', scalar(report.loss_image));
    outputs.set('loss_text', scalar(report.loss_text));
    outputs.set('grad_norm', scalar(report.grad_norm));
    for (const [name, values] of gradients) outputs.set(`grad.${name}`, values);
    for (const [name, values] of await named(model, optimiser.states, 'master')) outputs.set(`after3.${name}`, values);
    return outputs;
  } finally {
    await trainer.release();
    await optimiser.release();
  }
}

/** What the optimiser holds, by the checkpoint's names. */
async function named(model: MMAR, states: State[], what: 'gradient' | 'master'): Promise<TraceTensors> {
  const all: TraceTensors = new Map();
  for (const state of states) {
    const tensor: Tensor = state[what],
      rows = new Float32Array(await model.device.readRows(tensor));
    for (const block of state.blocks)
      all.set(block.name, { shape: [...block.shape], values: gather(block, tensor, rows) });
  }
  return all;
}

function examples(
  inputs: TraceTensors,
  config: Config,
  draws: number,
): { drawing: DrawingExample; reading: ReadingExample } {
  const values = (name: string): number[] => {
    const found = inputs.get(name);
    if (found) return Array.from(found.values);
    throw new MMARError('usage', `trace train needs the input ${name}; the file has ${[...inputs.keys()].join(', ')}`);
  };
  const course = courseOf(config),
    tokens = values(course.pictures),
    mask = course.hidesAll ? new Array<number>(config.image_tokens).fill(1) : values('mask'),
    hidden = mask.flatMap((masked, i) => (masked ? [i] : []));
  const wanted = course.times(draws, hidden.length);
  const noised = (prefix: string) =>
    wanted ? { times: values(`${prefix}t`), noise: values(`${prefix}noise`) } : { times: [], noise: [] };
  const drawn = noised('');
  if (drawn.times.length !== wanted)
    throw new MMARError(
      'usage',
      `trace train: t has ${drawn.times.length} times; want ${wanted}, for ${hidden.length} hidden tokens and ${draws} draws`,
    );
  const reading = { before: values('read_before'), tokens, after: values('after'), targets: values('targets') };
  return {
    drawing: { before: values('before'), tokens, hidden, ...drawn },
    reading: course.readBelow === undefined ? reading : { ...reading, ...noised('read_') },
  };
}

function numberOf(key: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw new MMARError('usage', `trace train: ${key} is ${JSON.stringify(text)}; give a number`);
}
