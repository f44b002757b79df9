import { MMARError } from '../base/error.ts';

/** How a drawing is made; which of these a system reads, its table says. */
export interface DrawingSettings {
  /** Iterations of the masked AR, K. */
  iterations: number;
  /** Diffusion steps of each token, or `50:5`: falling from 50 to 5 as tokens become known. */
  steps: number | string;
  /** Guidance ω; 1: none. */
  cfg: number;
  cfg_schedule: 'constant' | 'linear';
  /** 0 DDIM, 1 DDPM. */
  eta: number;
  /** Of a diffusion it multiplies the noise, of codes it divides the logits. */
  temperature: number;
}

/** How an answer is decoded. */
export interface AnswerSettings {
  max_new_tokens: number;
  temperature: number;
  top_p: number;
  seed: number;
}

/** One row of a table of settings: what command line, page, plan and trace know of it. */
export interface Setting {
  kind: 'count' | 'real' | 'choice' | 'steps';
  default: number | string;
  /** Of numbers; both ends are allowed unless `over` is set. */
  least?: number;
  most?: number;
  /** `least` itself is not allowed. */
  over?: boolean;
  choices?: readonly string[];
  help: string;
}

/** The same seed gives the same result. */
export const seedSetting: Setting = {
  kind: 'count',
  default: 0,
  least: 0,
  most: Number.MAX_SAFE_INTEGER,
  help: 'the same seed gives the same result',
};

export const drawingSettings = {
  iterations: { kind: 'count', default: 64, least: 1, help: 'iterations of the masked AR' },
  steps: {
    kind: 'steps',
    default: 100,
    least: 1,
    help: 'diffusion steps of each token; 50:5 falls from 50 to 5 as tokens become known',
  },
  cfg: { kind: 'real', default: 3, least: 0, help: 'guidance: 1 is none, more follows the words more closely' },
  cfg_schedule: {
    kind: 'choice',
    default: 'linear',
    choices: ['constant', 'linear'],
    help: 'constant, or linear: from 1 up to the guidance as tokens become known',
  },
  eta: { kind: 'real', default: 0, least: 0, most: 1, help: '0 is DDIM, 1 is DDPM' },
  temperature: {
    kind: 'real',
    default: 1,
    least: 0,
    help: 'of a diffusion: multiplies the noise; of codes: 0 is the likeliest',
  },
} satisfies Record<keyof DrawingSettings, Setting>;

export const answerSettings = {
  max_new_tokens: { kind: 'count', default: 256, least: 1, help: "an answer's most tokens" },
  temperature: { kind: 'real', default: 0, least: 0, help: '0: the likeliest token each time' },
  top_p: {
    kind: 'real',
    default: 1,
    least: 0,
    most: 1,
    over: true,
    help: 'choose among the likeliest tokens that together have this probability',
  },
  seed: seedSetting,
} satisfies Record<keyof AnswerSettings, Setting>;

export type DrawingKey = keyof DrawingSettings;

/** A system's own table: the settings that it reads, by name. */
export type SettingsTable = Partial<Record<DrawingKey, Setting>>;

/** The rows of a table that a system has, with what is particular to this model. */
export const settingsOf = (
  keys: readonly DrawingKey[],
  own: Partial<Record<DrawingKey, Partial<Setting>>> = {},
): SettingsTable => Object.fromEntries(keys.map((key) => [key, { ...drawingSettings[key], ...own[key] }]));

/** As many iterations as the image has tokens, where it has few. */
export const iterationsFor = (image_tokens: number): Partial<Setting> => ({
  default: Math.min(drawingSettings.iterations.default, image_tokens),
});

/** Throws `usage` where a value is not what its row says. */
export function checkSetting(key: string, value: unknown, setting: Setting): void {
  const right = wanted(value, setting);
  if (right) throw new MMARError('usage', `${key} is ${shown(value)}; give ${right}`);
}

/** What would be right, where a value is not. */
export function wanted(
  value: unknown,
  { kind, least = -Infinity, most = Infinity, over, choices }: Setting,
): string | undefined {
  if (kind === 'choice') return choices!.includes(value as string) ? undefined : choices!.join(' or ');
  if (kind === 'steps') {
    const range = stepRange(value);
    if (range && Math.max(range.first, range.last) <= most) return undefined;
    return `a whole number from 1 ${most === Infinity ? 'up' : `to ${most}`}, or two as 50:5`;
  }
  const inside = typeof value === 'number' && (over ? value > least : value >= least) && value <= most;
  if (inside && Number.isFinite(value) && (kind === 'real' || Number.isSafeInteger(value))) return undefined;
  const what = kind === 'count' ? 'a whole number' : 'a number';
  const from = over ? `over ${least}` : `from ${least}`;
  if (most === Infinity) return `${what} ${from}${over ? '' : ' up'}`;
  return `${what} ${from}${over ? ', at most ' : ' to '}${most === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : most}`;
}

const shown = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));

/** Diffusion steps of the first and the last tokens, or undefined where that is none. */
export function stepRange(steps: unknown): { first: number; last: number } | undefined {
  const [first, last = first, ...more] = typeof steps === 'string' ? steps.split(':').map(Number) : [steps as number];
  const fine = (n: number) => Number.isSafeInteger(n) && n >= 1;
  return fine(first) && fine(last) && !more.length ? { first, last } : undefined;
}

/** The most diffusion steps of one token. */
export function mostSteps(steps: DrawingSettings['steps']): number {
  const { first, last } = stepRange(steps)!;
  return Math.max(first, last);
}

/**
 * Settings from what is given, else from `defaults`. Throws `usage` for a value out of range, and for one that the
 * system has no use for.
 */
export function resolveSettings(
  table: SettingsTable,
  defaults: DrawingSettings,
  given: Partial<Record<DrawingKey, unknown>>,
  system: string,
): DrawingSettings {
  const settings: DrawingSettings = { ...defaults };
  for (const key of Object.keys(drawingSettings) as DrawingKey[]) {
    const value = given[key];
    if (value === undefined) continue;
    const setting = table[key];
    if (!setting)
      throw new MMARError(
        'usage',
        `${key} is no setting of a model of variant ${system}; it has ${Object.keys(table).join(', ')}`,
      );
    checkSetting(key, value, setting);
    Object.assign(settings, { [key]: value });
  }
  return settings;
}

/** A model's own defaults: those of `generation_config.json` that are right, else the table's, within what it can do. */
export function defaultSettings(table: SettingsTable, generation: Record<string, unknown>): DrawingSettings {
  const all = Object.entries(drawingSettings).map(([key, general]) => {
    const setting: Setting = table[key as DrawingKey] ?? general;
    const given = generation[key];
    const { default: value, most = Infinity } = setting;
    const otherwise = typeof value === 'number' ? Math.min(value, most) : value;
    return [key, given !== undefined && !wanted(given, setting) ? given : otherwise];
  });
  return Object.fromEntries(all) as DrawingSettings;
}

/** The settings of an answer, checked. */
export function resolveAnswer(given: Partial<AnswerSettings>, defaults: Partial<AnswerSettings> = {}): AnswerSettings {
  const entries = Object.entries(answerSettings).map(([key, setting]) => {
    const name = key as keyof AnswerSettings;
    const value = given[name] ?? defaults[name] ?? setting.default;
    checkSetting(key, value, setting);
    return [key, value];
  });
  return Object.fromEntries(entries) as unknown as AnswerSettings;
}

/** Throws `usage` unless this is a seed. */
export const checkSeed = (value: unknown, name = 'seed'): void => checkSetting(name, value, seedSetting);
