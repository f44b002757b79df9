/** The settings of a drawing: the form, and the address that carries them to somebody else. */
import type { DrawingSettings } from '../model/settings.ts';
import { element } from './dom.ts';

export interface Settings {
  prompt: string;
  seed: number;
  count: number;
  cfg?: number;
  temperature?: number;
  steps?: number;
  iterations?: number;
}

const optional = ['cfg', 'temperature', 'steps', 'iterations'] as const;
const field = (name: string) => element<HTMLInputElement>(name);

export const form = element<HTMLFormElement>('draw-form');

/** What the form says now. */
export function readSettings(): Settings {
  const settings: Settings = {
    prompt: field('prompt').value.trim(),
    seed: Number(field('seed').value) || 0,
    count: Number(field('count').value) || 1,
  };
  for (const name of optional) if (field(name).value !== '') settings[name] = Number(field(name).value);
  return settings;
}

/** Shows settings in the form; what they leave out becomes the model's own. */
export function showSettings(settings: Partial<Settings>): void {
  field('prompt').value = settings.prompt ?? '';
  field('seed').value = String(settings.seed ?? 1);
  field('count').value = String(settings.count ?? 1);
  for (const name of optional) field(name).value = settings[name] === undefined ? '' : String(settings[name]);
}

/** The model's own values, where a field is left empty. */
export function showDefaults(defaults: DrawingSettings): void {
  for (const name of optional) field(name).placeholder = String(defaults[name]);
}

/** `prompt=red+apple&seed=1&cfg=3`: what differs from the empty form. */
export function toAddress({ prompt, seed, count, ...more }: Settings): string {
  const query = new URLSearchParams({ prompt, seed: String(seed) });
  for (const name of optional) if (more[name] !== undefined) query.set(name, String(more[name]));
  if (count > 1) query.set('count', String(count));
  return query.toString();
}

/** Reads an address; whatever is no sound setting in it is left out. */
export function fromAddress(hash: string): Partial<Settings> | undefined {
  const query = new URLSearchParams(hash.replace(/^#/, ''));
  if (![...query.keys()].length || query.has('report')) return undefined;
  const settings: Partial<Settings> = { prompt: (query.get('prompt') ?? '').slice(0, 500) };
  for (const name of ['seed', 'count', ...optional] as const) {
    const input = field(name),
      text = query.get(name),
      value = Number(text);
    if (
      text !== null &&
      text !== '' &&
      value >= Number(input.min) &&
      value <= Number(input.max) &&
      (input.step === 'any' || Number.isInteger(value))
    )
      settings[name] = value;
  }
  return settings;
}
