import { gigabytes } from '../base/bytes.ts';
import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { dryDevice } from '../engine/dry.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { loadTokenizer } from '../loaders/tokenizer.ts';
import type { Config } from '../model/config.ts';
import { ImageCodec } from '../model/image_codec.ts';
import { planSystem } from '../model/variants/index.ts';
import type { Activations } from '../model/weights.ts';
import { Batches } from './batch.ts';
import { courseOf } from './course.ts';
import { drawExample, type Item } from './examples.ts';
import { graphOf } from './graph_of.ts';
import { chooseLearned, type Learn } from './learned.ts';
import { Optimiser } from './optimiser.ts';
import type { TrainingSettings } from './settings.ts';
import { Trainer } from './trainer.ts';

/** What a run will take on a device, in bytes. */
export interface TrainingPlan {
  precision: Activations;
  weightType: string;
  /** Numbers that learn. */
  learned: number;
  weights: number;
  /** What learns in f32, where the weights themselves are bf16. */
  masters: number;
  gradients: number;
  moments: number;
  /** The moving average. */
  average: number;
  /** Buffers that operations share: all that a pass keeps for its way back, and what the image tokenizer needs. */
  activations: number;
  /** All else: examples, tables, parameters. */
  state: number;
  /** The most that is held at once. */
  peak: number;
}

export interface TrainingPlanOptions {
  /** Whose limits count; those that WebGPU guarantees unless given. */
  device?: Device;
  precision?: Activations;
  /** See `Trainer`. */
  recompute?: boolean;
}

/**
 * Rehearses a run on a device that holds nothing: its first batch of every shape goes forward and back and is learned from, by the
 * same code. Samples that are drawn on the way, held-out losses and what `tune` measured are not in it.
 * @param words of the pictures, which decide the lengths
 */
export async function planTraining(
  checkpoint: Checkpoint,
  config: Config,
  words: readonly Omit<Item, 'tokens'>[],
  settings: TrainingSettings,
  learn: Learn,
  { device, precision = 'bf16', recompute = false }: TrainingPlanOptions = {},
): Promise<TrainingPlan> {
  const { device: on, held } = dryDevice(device),
    system = planSystem(checkpoint, config, precision, on.maxBinding, true);
  system.weights.allocate(on);
  const weights = on.memory.held,
    { resolution, in_channels } = config.image_tokenizer,
    [L, d] = courseOf(config).pictures === 'codes' ? [config.image_tokens, 1] : system.imageShape;
  const blank = { tokens: new Float32Array(L * d) },
    items = words.map((word): Item => ({ ...word, ...blank }));
  await new ImageCodec(on, system).encode(async () => new Float32Array(in_channels * resolution ** 2));
  const batches = new Batches(settings, config, await loadTokenizer(checkpoint), { items }),
    optimiser = new Optimiser(on, chooseLearned(system.weights, learn, config), settings),
    graph = await graphOf(on, system, settings.draws),
    trainer = new Trainer(on, graph, optimiser, batches, settings.text_weight, recompute);
  await optimiser.begin();
  const seen = new Set<number>();
  for (let n = 0; n < settings.steps; n++) {
    const readings = countReadings(settings, items, n);
    if (seen.has(readings)) continue;
    seen.add(readings);
    await trainer.gradients(batches.batch(n));
    await trainer.update(n, settings.lr);
  }
  const learnedBytes = held(/ average$/),
    parts = {
      masters: held(/ master$/),
      gradients: held(/ gradient$/),
      moments: held(/ moment [12]$/),
      average: learnedBytes,
      activations: held(/^scratch$/),
    };
  const counted = Object.values(parts).reduce((sum, bytes) => sum + bytes, weights);
  return {
    precision,
    weightType: system.weights.type,
    learned: optimiser.states.reduce((sum, { blocks }) => sum + blocks.reduce((n, { shape }) => n + size(shape), 0), 0),
    weights,
    ...parts,
    state: on.memory.held - counted,
    peak: on.memory.peak,
  };
}

/**
 * Whether a run's blocks must be recomputed for it to fit into `there` bytes, before anything of it is made. Throws `adapter`
 * where it does not fit even so.
 * @param remedy what would take less
 */
export async function mustRecompute(
  there: number,
  planned: (recompute: boolean) => Promise<TrainingPlan>,
  remedy: string,
): Promise<boolean> {
  if (there === Infinity || (await planned(false)).peak <= there) return false;
  const { peak, weights, activations } = await planned(true);
  if (peak <= there) return true;
  const least = `${gigabytes(peak)} on the device (weights ${gigabytes(weights)}, activations ${gigabytes(activations)})`;
  throw new MMARError(
    'adapter',
    `to learn this takes ${least}, blocks recomputed, and ${gigabytes(Math.max(0, there))} are there; ${remedy}`,
  );
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** How many examples of a step are read: it decides the shapes of its passes. */
function countReadings(settings: TrainingSettings, items: readonly Item[], n: number): number {
  let readings = 0;
  for (let i = 0; i < settings.batch; i++)
    if (drawExample(settings, { items }, n, i).task === 'understanding') readings++;
  return readings;
}
