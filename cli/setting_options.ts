/** Options from the tables of `model/settings.ts`. */
import type { Option } from 'commander';
import { type Setting, stepRange } from '../model/settings.ts';
import { usage } from './errors.ts';
import { count, oneOf, option, real } from './values.ts';

/** The option of one setting. */
export function settingOption(key: string, { kind, least = 0, most, over, choices = [], help }: Setting): Option {
  const flag = `--${key.replaceAll('_', '-')}`;
  if (kind === 'choice') return option(`${flag} <name>`, help, oneOf(...choices));
  if (kind === 'steps') return option(`${flag} <n>`, help, steps);
  if (kind === 'count') return option(`${flag} <n>`, help, count(least, most));
  return option(`${flag} <x>`, help, real(least, most, over));
}

/** `50`, or `50:5`. */
function steps(name: string, text: string): number | string {
  const range = stepRange(text);
  if (!range) throw usage(`${name} is ${JSON.stringify(text)}; give a whole number from 1 up, or two as 50:5`);
  return text.includes(':') ? text : range.first;
}
