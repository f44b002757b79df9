/** Options of the command line with checked values. */
import { Option } from 'commander';
import { usage } from './errors.ts';

/** An option whose text `parse` turns into its value, or refuses. */
export function option<T>(flags: string, description: string, parse: (name: string, text: string) => T): Option {
  const made = new Option(flags, description);
  return made.argParser((text) => parse(made.long ?? flags, text));
}

/** A whole number. */
export const count =
  (least: number, most = Number.MAX_SAFE_INTEGER) =>
  (name: string, text: string): number => {
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    const bound = most < Number.MAX_SAFE_INTEGER ? `to ${most}` : value > most ? 'to 2^53 - 1' : 'up';
    throw usage(`${name} is ${JSON.stringify(text)}; give a whole number from ${least} ${bound}`);
  };

/** A number. `over`: more than `least`, which is not allowed itself. */
export const real =
  (least: number, most = Infinity, over = false) =>
  (name: string, text: string): number => {
    const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
    if (Number.isFinite(value) && value <= most && (over ? value > least : value >= least)) return value;
    const from = over ? `over ${least}` : `from ${least}`,
      to = most === Infinity ? (over ? '' : ' up') : over ? `, at most ${most}` : ` to ${most}`;
    throw usage(`${name} is ${JSON.stringify(text)}; give a number ${from}${to}`);
  };

export const oneOf =
  <const T extends string>(...choices: T[]) =>
  (name: string, text: string): T => {
    if (choices.includes(text as T)) return text as T;
    throw usage(`${name} is ${JSON.stringify(text)}; give ${choices.join(' or ')}`);
  };

export const someText = (name: string, text: string): string => {
  if (text) return text;
  throw usage(`${name} is empty; give a value`);
};
