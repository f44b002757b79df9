import { usage } from './errors.ts';

/** More values than this are a mistake. */
const most = 1000;

/** Values of an option: `3`, `1,2,5`, `1..10`, `0..1..0.25` (from, to, apart); `one` reads each. */
export const valuesOf =
  <T>(one: (name: string, text: string) => T) =>
  (name: string, text: string): T[] =>
    text.split(',').flatMap((part) => expanded(name, part).map((value) => one(name, value)));

function expanded(name: string, part: string): string[] {
  const ends = part.split('..');
  if (ends.length === 1) return ends;
  const [from, to, apart = 1] = ends.map((end) => (end.trim() === '' ? NaN : Number(end)));
  const count = Math.floor((to - from) / apart + 1e-9) + 1;
  if (ends.length > 3 || !(count >= 1 && count <= most))
    throw usage(`${name} has ${JSON.stringify(part)}; give a range of at most ${most} numbers as 1..10 or 0..1..0.25`);
  return Array.from({ length: count }, (_, i) => String(Number((from + i * apart).toPrecision(12))));
}
