import { MMARError } from '../base/error.ts';
import { memorySource } from '../loaders/memory_source.ts';
import { safetensorsBytes } from '../loaders/safetensors.ts';
import type { Taught, TeachExample, TeachOptions, TeachStep } from '../model/api.ts';
import type { MMAR } from '../model/mmar.ts';
import { type Item, wordsOf } from './examples.ts';
import { mustRecompute, planTraining } from './plan.ts';
import { rehearseOne } from './rehearsal.ts';
import { type Progress, TrainingRun } from './run.ts';
import { type TrainingSettings, trainingSettings } from './settings.ts';
import { learnedTensors } from './state.ts';

/**
 * A lesson: the pictures' tokens, some of what the model knows, then steps. It is the run that `mmar train` makes of the same
 * pictures, words and settings, bit for bit. Stopped or left, the model keeps what its steps so far have learned.
 */
export async function* teachStream(model: MMAR, options: TeachOptions): AsyncGenerator<TeachStep, Taught> {
  const { steps = 150, batch = 8, microBatch = 1, lr, seed = 0, learn = 'paper' } = options;
  const settings = trainingSettings({ steps, batch, micro_batch: microBatch, seed, ...(lr !== undefined && { lr }) });
  checkExamples(options.examples);
  const recompute = await fits(model, options, settings);
  const merged = await model.patches.separate();
  try {
    const items = yield* looked(model, options);
    const rehearsed = yield* known(model, options);
    const run = await TrainingRun.begin(model, { items, rehearsed }, settings, learn, recompute);
    const patch = yield* learned(model, run, options);
    return { patch, steps };
  } finally {
    if (merged) await model.patches.merge();
  }
}

/** Whether blocks are recomputed; throws where the lesson would not fit beside the model. */
function fits(model: MMAR, { examples, known = [], learn = 'paper' }: TeachOptions, settings: TrainingSettings) {
  const { device, config, checkpoint, system } = model;
  const precision = system.weights.activations;
  const words = [...examples.map(({ prompt }) => prompt.trim()), ...known].map(wordsOf);
  return mustRecompute(
    model.available,
    (recompute) => planTraining(checkpoint, config, words, settings, learn, { device, precision, recompute }),
    'take a smaller batch at once, or let less learn',
  );
}

function checkExamples(examples: readonly TeachExample[]): void {
  if (!examples?.length) throw new MMARError('usage', 'there is no picture to learn from; give one or more');
  const nameless = examples.findIndex(({ prompt }) => typeof prompt !== 'string' || !prompt.trim());
  if (nameless >= 0) throw new MMARError('usage', `picture ${nameless + 1} has no words; say what it shows`);
}

async function* looked(model: MMAR, { examples, signal }: TeachOptions): AsyncGenerator<TeachStep, Item[]> {
  const items: Item[] = [];
  for (const { image, prompt } of examples) {
    const { tokens, codes } = await model.encode({ image, signal });
    items.push({ tokens: codes ?? tokens, ...wordsOf(prompt.trim()) });
    yield { stage: 'looking', step: items.length, total: examples.length };
  }
  return items;
}

async function* known(
  model: MMAR,
  { rehearse = 8, known = [], seed = 0, signal }: TeachOptions,
): AsyncGenerator<TeachStep, Item[]> {
  const items: Item[] = [];
  for (let i = 0; i < rehearse; i++) {
    items.push(await rehearseOne(model, i, known, seed, signal));
    yield { stage: 'rehearsing', step: i + 1, total: rehearse };
  }
  return items;
}

/** Runs the steps; gives what was learned, which the model draws with from then on. */
async function* learned(
  model: MMAR,
  run: TrainingRun,
  { examples, sample = examples[0].prompt, sampleEvery = 0, signal }: TeachOptions,
): AsyncGenerator<TeachStep, Uint8Array<ArrayBuffer>> {
  const { steps, batch } = run.settings;
  const start = performance.now();
  let drawing = 0; // of the time since then, in ms
  const sampled = (step: number) => sampleEvery > 0 && (step % sampleEvery === 0 || step === steps);
  const tell = ({ step, loss, loss_image, loss_text }: Progress): TeachStep => {
    const seconds = (performance.now() - start) / 1000;
    return {
      stage: 'learning',
      step,
      total: steps,
      loss,
      lossImage: loss_image,
      lossText: loss_text,
      examplesPerSecond: (batch * step) / (seconds - drawing / 1000),
      secondsLeft: (seconds / step) * (steps - step),
    };
  };
  model.patches.loosen(run.optimiser.states.flatMap(({ blocks }) => blocks.map(({ name }) => name)));
  let patch!: Uint8Array<ArrayBuffer>;
  try {
    for await (const progress of run.steps(sampled, signal)) {
      const told = tell(progress);
      if (sampled(told.step)) {
        const before = performance.now();
        const { picture } = await model.generate({ prompt: sample, seed: 1, signal });
        drawing += performance.now() - before;
        yield { ...told, picture };
      } else yield told;
    }
  } finally {
    try {
      if (run.done) patch = await layDown(model, run);
    } finally {
      await run.release();
    }
  }
  return patch;
}

/** What the steps so far have learned, their moving average, becomes the model's, as if it were loaded with the patch. */
async function layDown(model: MMAR, run: TrainingRun): Promise<Uint8Array<ArrayBuffer>> {
  const { device } = model;
  await device.queue.idle();
  const bytes = safetensorsBytes(await learnedTensors(device, run.optimiser.states), { step: String(run.done) });
  const file = 'the lesson';
  await model.patches.lay({ source: memorySource('this model', new Map([[file, bytes]])), file }, 'patches');
  return bytes;
}
