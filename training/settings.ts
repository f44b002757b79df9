import { MMARError } from '../base/error.ts';

/** Every number of a training run (spec: training.md), by the names of `--config FILE`. */
export interface TrainingSettings {
  /** The paper's stage: sets `conditional`, `understanding`, `unconditional` and `mask_least`. */
  stage: 1 | 2 | 3;
  steps: number;
  /** Examples of a step. */
  batch: number;
  /** Examples that go through the model at once; gradients add up over a step's passes. */
  micro_batch: number;
  /** Shares of the tasks among the examples; they add up to 1. */
  conditional: number;
  understanding: number;
  unconditional: number;
  /** The chance that a conditional prompt is replaced by the empty one. */
  drop_prompt: number;
  /** The share of examples that show rehearsed pictures, where there are some. */
  rehearsed: number;
  /** The mask ratio: normal around `mask_mean`, redrawn until within [mask_least, 1]. */
  mask_mean: number;
  mask_deviation: number;
  mask_least: number;
  /** Draws of (t, noise) for each hidden position. */
  draws: number;
  text_weight: number;
  lr: number;
  /** Steps over which the learning rate rises from 0. */
  warmup: number;
  schedule: 'constant' | 'cosine';
  beta1: number;
  beta2: number;
  eps: number;
  weight_decay: number;
  /** The global norm that gradients are clipped to. */
  clip: number;
  /** Decay of the moving average of the learned tensors. */
  ema: number;
  seed: number;
}

const common = { conditional: 0.5, understanding: 0.45, unconditional: 0.05 };
const stages = [
  { ...common, mask_least: 0.7 },
  { ...common, mask_least: 0 },
  { conditional: 0.9, understanding: 0, unconditional: 0.1, mask_least: 0 },
];

interface Range {
  least: number;
  most?: number;
  whole?: boolean;
  help: string;
}

/** What each setting may be, and what it is for. */
export const settingRanges: Record<Exclude<keyof TrainingSettings, 'stage' | 'schedule'>, Range> = {
  steps: { least: 1, whole: true, help: 'steps of the whole run' },
  batch: { least: 1, whole: true, help: 'examples a step' },
  micro_batch: { least: 1, whole: true, help: 'examples that go through the model at once' },
  conditional: { least: 0, most: 1, help: 'share of examples that draw from words' },
  understanding: { least: 0, most: 1, help: 'share of examples that read a picture' },
  unconditional: { least: 0, most: 1, help: 'share of examples that draw from no words' },
  drop_prompt: { least: 0, most: 1, help: 'chance that a prompt is emptied' },
  rehearsed: { least: 0, most: 1, help: 'share of examples that show rehearsed pictures' },
  mask_mean: { least: 0, most: 1, help: 'mean of the share of hidden tokens' },
  mask_deviation: { least: 0, help: 'its standard deviation' },
  mask_least: { least: 0, most: 1, help: 'the least share of hidden tokens' },
  draws: { least: 1, whole: true, help: 'times and noises drawn for each hidden token' },
  text_weight: { least: 0, help: 'weight of the text loss beside the image loss' },
  lr: { least: 0, help: 'learning rate' },
  warmup: { least: 0, whole: true, help: 'steps over which the learning rate rises' },
  beta1: { least: 0, most: 1, help: 'decay of the first moment' },
  beta2: { least: 0, most: 1, help: 'decay of the second moment' },
  eps: { least: 0, help: "AdamW's epsilon" },
  weight_decay: { least: 0, help: 'decoupled decay of matrices' },
  clip: { least: 0, help: 'global norm that gradients are clipped to' },
  ema: { least: 0, most: 1, help: 'decay of the moving average that is saved' },
  seed: { least: 0, most: 2 ** 53 - 1, whole: true, help: 'seed of everything random' },
};

const defaults: TrainingSettings = {
  stage: 2,
  steps: 400,
  batch: 8,
  micro_batch: 8,
  ...stages[1],
  drop_prompt: 0.1,
  rehearsed: 0.375,
  mask_mean: 1,
  mask_deviation: 0.25,
  draws: 4,
  text_weight: 1,
  lr: 5e-4,
  warmup: 20,
  schedule: 'constant',
  beta1: 0.9,
  beta2: 0.95,
  eps: 1e-8,
  weight_decay: 0.02,
  clip: 3,
  ema: 0.9999,
  seed: 0,
};

/** Fills in the stage's presets and the defaults; a `usage` error names the setting, its value and what it may be. */
export function trainingSettings(given: Partial<Record<keyof TrainingSettings, unknown>>): TrainingSettings {
  for (const key of Object.keys(given))
    if (!(key in defaults))
      throw new MMARError(
        'usage',
        `there is no training setting ${key}; give one of ${Object.keys(defaults).join(', ')}`,
      );
  const stage = choice('stage', given.stage ?? defaults.stage, [1, 2, 3] as const),
    schedule = choice('schedule', given.schedule ?? defaults.schedule, ['constant', 'cosine'] as const);
  const settings = { ...defaults, ...stages[stage - 1], ...given, stage, schedule } as TrainingSettings;
  for (const [key, { least, most = Infinity, whole }] of Object.entries(settingRanges)) {
    const value: unknown = settings[key as keyof TrainingSettings];
    if (typeof value !== 'number' || !(value >= least && value <= most) || (whole && !Number.isSafeInteger(value)))
      throw new MMARError(
        'usage',
        `${key} is ${JSON.stringify(value)}; give a ${whole ? 'whole ' : ''}number from ${least}${most < Infinity ? ` to ${most}` : ' up'}`,
      );
  }
  if (settings.mask_least > settings.mask_mean)
    throw new MMARError(
      'usage',
      `mask_least is ${settings.mask_least}, over mask_mean, ${settings.mask_mean}; make it at most that`,
    );
  const { conditional, understanding, unconditional } = settings;
  if (Math.abs(conditional + understanding + unconditional - 1) > 1e-6)
    throw new MMARError(
      'usage',
      `conditional, understanding and unconditional are ${conditional}, ${understanding} and ${unconditional}; make them add up to 1`,
    );
  return settings;
}

function choice<const T>(key: string, value: unknown, choices: readonly T[]): T {
  if (choices.includes(value as T)) return value as T;
  throw new MMARError('usage', `${key} is ${JSON.stringify(value)}; give ${choices.join(' or ')}`);
}

/** The learning rate of step `n`, counted from 0: a linear warm-up, then constant or half a cosine down to 0. */
export function learningRate({ lr, warmup, schedule, steps }: TrainingSettings, n: number): number {
  if (n < warmup) return (lr * (n + 1)) / warmup;
  if (schedule === 'constant') return lr;
  return (lr / 2) * (1 + Math.cos((Math.PI * (n - warmup)) / Math.max(1, steps - warmup)));
}
