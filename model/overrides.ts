import { MMARError } from '../base/error.ts';

/** Keys that a `config.json` may leave out. */
const optional = ['image_tokenizer.norm_groups', 'llm.tie_word_embeddings', 'llm.max_position_embeddings'];

/**
 * A config with some values replaced, such as `llm.num_hidden_layers` by `2`: the value is JSON, or else a text.
 * Throws `usage` for a key that the config does not have.
 */
export function withSettings(config: unknown, settings: Record<string, string>): unknown {
  const changed: unknown = structuredClone(config);
  for (const [key, text] of Object.entries(settings)) {
    const path = key.split('.'),
      last = path.pop()!;
    let at = changed as Record<string, unknown> | undefined;
    for (const name of path) at = own(at, name) as typeof at;
    if (typeof at !== 'object' || at === null || (!Object.hasOwn(at, last) && !optional.includes(key))) {
      throw new MMARError(
        'usage',
        `--set ${key}=${text}: the config has no ${key}; give a key of config.json such as llm.num_hidden_layers`,
      );
    }
    at[last] = jsonOrText(text);
  }
  return changed;
}

const own = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
