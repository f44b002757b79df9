import { MMARError } from '../../base/error.ts';
import type { Checkpoint } from '../../loaders/checkpoint.ts';
import type { Config, MMARConfig, TransfusionConfig, VQConfig } from '../config.ts';
import { type DrawingSettings, defaultSettings, resolveSettings } from '../settings.ts';
import { type System, weightType } from '../system.ts';
import { type Activations, Weights } from '../weights.ts';
import { MMARSystem, mmarTraces } from './mmar.ts';
import { TransfusionSystem, transfusionTraces } from './transfusion.ts';
import { VQSystem, vqTraces } from './vq.ts';

export type { MMARSystem, TransfusionSystem, VQSystem };

interface Systems {
  mmar: MMARSystem;
  vq: VQSystem;
  transfusion: TransfusionSystem;
}

/** The system of a config. */
export type SystemOf<C extends Config> = Systems[C['variant']];

const systems = {
  mmar: (weights: Weights, config: Config) => new MMARSystem(weights, config as MMARConfig),
  vq: (weights: Weights, config: Config) => new VQSystem(weights, config as VQConfig),
  transfusion: (weights: Weights, config: Config) => new TransfusionSystem(weights, config as TransfusionConfig),
};

/** The system that a config describes, its weights declared and nothing loaded. */
export const systemOf = <C extends Config>(weights: Weights, config: C): SystemOf<C> =>
  systems[config.variant](weights, config) as SystemOf<C>;

/** The system of a checkpoint and the plan of its weights; nothing is loaded. */
export const planSystem = <C extends Config>(
  checkpoint: Checkpoint,
  config: C,
  precision: Activations,
  maxBinding = Infinity,
  learns = false,
): SystemOf<C> => systemOf(new Weights(weightType(checkpoint, precision, learns), precision, maxBinding), config);

/** Throws `usage` where a drawing's settings are not what this model can do; nothing is loaded. */
export function planSettings(config: Config, settings: Partial<DrawingSettings>): void {
  const table = systemOf(new Weights('bf16', 'bf16', Infinity), config).settings;
  resolveSettings(table, defaultSettings(table, {}), settings, config.variant);
}

/** Every part of the graph that one system or another can run alone. */
export const traceParts: readonly string[] = Object.keys({ ...mmarTraces, ...vqTraces, ...transfusionTraces });

/** The parts of an MMAR, for what knows no other system. Throws `checkpoint` where it is another. */
export function mmarOf(system: System): MMARSystem {
  if (system instanceof MMARSystem) return system;
  throw new MMARError(
    'checkpoint',
    `variant "${system.config.variant}" has no such parts; use a checkpoint without "variant"`,
  );
}
