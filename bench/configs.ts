import { MMARError } from '../base/error.ts';
import emoji from '../checkpoints/emoji/config.json';
import half from '../configs/mmar-0.5b.json';
import vq from '../configs/mmar-0.5b-vq.json';
import seven from '../configs/mmar-7b.json';
import transfusion from '../configs/transfusion-0.5b.json';

/** The models whose shapes are benchmarked, by the name that `--config` takes. */
export const configs = {
  emoji,
  'mmar-0.5b': half,
  'mmar-7b': seven,
  'mmar-0.5b-vq': vq,
  'transfusion-0.5b': transfusion,
} as const;
export type ConfigName = keyof typeof configs;

/** The `config.json` of that name; a `usage` error names those that there are. */
export function namedConfig(name: string): unknown {
  const json = configs[name as ConfigName];
  if (json) return json;
  throw new MMARError('usage', `no config ${JSON.stringify(name)}; give one of ${Object.keys(configs).join(', ')}`);
}
