/** The settings of a drawing: the form, which is made from the model's table, and the address that carries them to somebody else. */
import {
  type DrawingKey,
  type DrawingSettings,
  drawingSettings,
  type Setting,
  type SettingsTable,
  seedSetting,
  stepRange,
  wanted,
} from '../model/settings.ts';
import { element, make } from './dom.ts';

export interface Settings extends Partial<DrawingSettings> {
  prompt: string;
  seed: number;
  count: number;
}

/** What people see of a key, in the order in which they see it. */
const labels: Record<DrawingKey, string> = {
  cfg: 'Guidance',
  temperature: 'Temperature',
  steps: 'Steps',
  iterations: 'Iterations',
  cfg_schedule: 'Schedule',
  eta: 'Eta',
};
const keys = Object.keys(labels) as DrawingKey[];

const count: Setting = {
  kind: 'count',
  default: 1,
  least: 1,
  most: 64,
  help: 'one after another, with seeds from this one up',
};

/** What the model reads; every setting that there is before one is loaded. */
let table: SettingsTable = drawingSettings;

const field = (name: string) => element<HTMLInputElement | HTMLSelectElement>(name);

export const form = element<HTMLFormElement>('draw-form');
for (const key of keys) element('drawing-settings').append(makeField(key, drawingSettings[key]));
bound('seed', seedSetting);
bound('count', count);

function makeField(key: DrawingKey, { kind, choices = [] }: Setting): HTMLElement {
  const options = ['', ...choices].map((value) => make('option', { value, textContent: value }));
  const control =
    kind === 'choice'
      ? make('select', { id: key }, ...options)
      : make('input', { id: key, type: kind === 'steps' ? 'text' : 'number', autocomplete: 'off' });
  const words = make('label', { htmlFor: key, textContent: labels[key] });
  return make('div', { className: 'field' }, words, control);
}

/** Gives a field the range of its setting. */
function bound(name: string, { kind, least, most, help }: Setting): void {
  const control = field(name);
  control.title = help;
  if (!(control instanceof HTMLInputElement)) return;
  if (kind === 'steps') control.pattern = '\\d+(:\\d+)?';
  control.min = String(least ?? '');
  control.max = String(most ?? '');
  control.step = kind === 'real' ? 'any' : '1';
}

/** Shows the settings that a model reads, with its own values where a field is left empty. */
export function useModel({
  settingsTable,
  defaults,
}: {
  settingsTable: SettingsTable;
  defaults: DrawingSettings;
}): void {
  table = settingsTable;
  for (const key of keys) {
    const setting = table[key];
    const control = field(key);
    control.parentElement!.hidden = !setting;
    if (!setting) continue;
    bound(key, setting);
    const own = String(defaults[key]);
    if (control instanceof HTMLInputElement) control.placeholder = own;
    else control.options[0].textContent = own;
  }
}

/** A setting as text is its value, where it is a sound one. */
function soundValue(setting: Setting | undefined, text: string | null): number | string | undefined {
  if (!setting || !text) return undefined;
  const { kind } = setting;
  const value = kind === 'choice' || (kind === 'steps' && stepRange(text) && text.includes(':')) ? text : Number(text);
  return wanted(value, setting) ? undefined : value;
}

/** What the form says now; what the model has no use for is left out. */
export function readSettings(): Settings {
  const given = keys.map((key) => [key, table[key] && soundValue(drawingSettings[key], field(key).value)]);
  return {
    prompt: field('prompt').value.trim(),
    seed: Number(field('seed').value) || 0,
    count: Number(field('count').value) || 1,
    ...(Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Partial<DrawingSettings>),
  };
}

/** Shows settings in the form; what they leave out becomes the model's own. */
export function showSettings(settings: Partial<Settings>): void {
  field('prompt').value = settings.prompt ?? '';
  field('seed').value = String(settings.seed ?? 1);
  field('count').value = String(settings.count ?? 1);
  for (const key of keys) field(key).value = String(settings[key] ?? '');
}

/** `prompt=red+apple&seed=1&cfg=3`: what differs from the empty form. */
export function toAddress(settings: Settings): string {
  const { prompt, seed, count } = settings;
  const query = new URLSearchParams({ prompt, seed: String(seed) });
  for (const key of keys) if (settings[key] !== undefined) query.set(key, String(settings[key]));
  if (count > 1) query.set('count', String(count));
  return query.toString();
}

/** Reads an address; whatever is no sound setting in it is left out. */
export function fromAddress(hash: string): Partial<Settings> | undefined {
  const query = new URLSearchParams(hash.replace(/^#/, ''));
  if (![...query.keys()].length || query.has('report')) return undefined;
  const all: Record<string, Setting | undefined> = { seed: seedSetting, count, ...table };
  const given = Object.keys(all).map((key) => [key, soundValue(all[key], query.get(key))]);
  const sound = Object.fromEntries(given.filter(([, value]) => value !== undefined)) as Partial<Settings>;
  return { prompt: (query.get('prompt') ?? '').slice(0, 500), ...sound };
}
