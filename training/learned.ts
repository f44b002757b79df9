import { MMARError } from '../base/error.ts';
import type { Tensor } from '../engine/tensor.ts';
import type { Config } from '../model/config.ts';
import type { Block } from '../model/layout.ts';
import type { Weights } from '../model/weights.ts';
import { courseOf } from './course.ts';

/** What learns: the paper's choice, all but the image tokenizer, or names and globs of tensors (spec: training.md, section 1). */
export type Learn = 'paper' | 'all' | string[];

/** A tensor on the device that learns, and the checkpoint's tensors that lie in it. */
export interface Learned {
  tensor: Tensor;
  blocks: readonly Block[];
  /** Whether it decays: matrices do, vectors do not. */
  decays: boolean;
}

const frozen = /^image_tokenizer\./,
  lowRank = /\.lora_[AB]\.weight$|^image_(start|end)$/;

/** Whether the checkpoint's tensor of that name learns. */
export function learns(name: string, learn: Learn, config: Config): boolean {
  if (frozen.test(name)) return false;
  if (learn === 'all') return true;
  if (learn === 'paper') return lowRank.test(name) || courseOf(config).learns.test(name);
  return learn.some((glob) => matches(glob, name));
}

/** `*` stands for any run of characters, `?` for one. */
function matches(glob: string, name: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${pattern}$`).test(name);
}

/**
 * The device tensors that learn. Throws `usage` where a name or glob fits nothing, or names some of the tensors that lie in one
 * on the device and not the others.
 */
export function chooseLearned(weights: Weights, learn: Learn, config: Config): Learned[] {
  if (Array.isArray(learn)) {
    const names = [...weights.required.keys()].filter((name) => !frozen.test(name)),
      without = learn.find((glob) => !names.some((name) => matches(glob, name)));
    if (without !== undefined)
      throw new MMARError(
        'usage',
        `no tensor is called ${without}; mmar inspect lists them, the tokenizer's cannot learn`,
      );
  }
  if (weights.merged)
    throw new MMARError('usage', 'PLoRA is merged into the weights, so nothing can learn; load the model with learns');
  const chosen: Learned[] = [];
  for (const { tensor, blocks } of weights.layout) {
    const some = blocks.filter(({ name }) => learns(name, learn, config));
    if (!some.length) continue;
    const other = blocks.find((block) => !some.includes(block));
    if (other)
      throw new MMARError(
        'usage',
        `${some[0].name} and ${other.name} lie in one tensor on the device; learn both or neither`,
      );
    chosen.push({ tensor, blocks, decays: blocks[0].shape.length > 1 });
  }
  if (!chosen.length) throw new MMARError('usage', 'nothing of the model learns; give paper, all or names');
  return chosen;
}
