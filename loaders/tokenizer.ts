/** The text tokenizer and the chat template of a checkpoint, and the two prompts that MMAR is asked with. */
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { MMARError } from '../base/error.ts';
import type { Checkpoint } from './checkpoint.ts';
import { quote } from './safetensors.ts';

/** Marks where the image goes in a rendered prompt; the text around it is tokenised apart. */
export const IMAGE_MARK = '<image>';

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** Turns text into ids and back. Made by `loadTokenizer`. */
export class TextTokenizer {
  private readonly special: Set<number>;

  /** `eosIds`: any of them ends an answer; empty where the checkpoint names none. `place` is for messages. */
  constructor(
    private readonly place: string,
    private readonly tokenizer: Tokenizer,
    private readonly template: Template | undefined,
    private readonly namedTokens: Record<string, string>,
    readonly eosIds: number[],
  ) {
    const added = [...tokenizer.get_added_tokens_decoder()];
    this.special = new Set(added.filter(([, token]) => token.special).map(([id]) => id));
  }

  /** Ids of `text`. Special tokens written out in it become their ids; none is added. */
  encode(text: string): number[] {
    if (!text) return [];
    const { ids } = this.tokenizer.encode(text, { add_special_tokens: false });
    if (ids.every(Number.isInteger)) return ids;
    throw new MMARError(
      'checkpoint',
      `the tokenizer of ${this.place} has no token for a part of ${quote(text)}: check tokenizer.json`,
    );
  }

  /** Text of `ids` without special tokens; ids that the vocabulary lacks give nothing. */
  decode(ids: number[]): string {
    const known = ids.filter((id) => this.tokenizer.id_to_token(id) !== undefined);
    if (!known.length) return '';
    return this.tokenizer.decode(known, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
  }

  /**
   * Decodes ids one at a time: `push` returns the text that they complete (a character may be split over tokens),
   * `flush` what is left. All of it joined is `decode` of all ids.
   */
  decodeStream() {
    let ids: number[] = [],
      given = 0;
    const take = (text: string, end: number) => {
      const out = text.slice(given, end);
      given = Math.max(given, end);
      return out;
    };
    return {
      push: (id: number): string => {
        ids.push(id);
        const text = this.decode(ids);
        // An unfinished character decodes to U+FFFD: that waits for its other bytes.
        const complete = text.replace(/\uFFFD+$/, '').length;
        const out = take(text, complete);
        // All was given: go on from this token alone, so that a long answer is not decoded over and over.
        if (complete === text.length && text) {
          ids = [id];
          given = this.decode(ids).length;
        }
        return out;
      },
      flush: (): string => {
        const text = this.decode(ids);
        const out = take(text, text.length);
        ids = [];
        given = 0;
        return out;
      },
    };
  }

  /** The text of a conversation by the checkpoint's chat template. Throws `checkpoint` where it has none or refuses. */
  chat(messages: Message[], { add_generation_prompt = false } = {}): string {
    if (!this.template) {
      throw new MMARError(
        'checkpoint',
        `${this.place} has no chat template: add chat_template to its tokenizer_config.json`,
      );
    }
    try {
      return this.template.render({ ...this.namedTokens, messages, add_generation_prompt });
    } catch (cause) {
      throw new MMARError(
        'checkpoint',
        `the chat template of ${this.place} fails: ${oneLine(cause)}: mend tokenizer_config.json`,
        { cause },
      );
    }
  }

  /** Ids of the pieces of `rendered` between its image marks: one more than there are marks. */
  pieces(rendered: string): number[][] {
    return rendered.split(IMAGE_MARK).map((piece) => this.encode(piece));
  }

  /**
   * The ids before the image in P(I|T): the user's turn, then the opening of the assistant's. An empty prompt is that
   * of P(I), the unconditional branch. Throws `usage` where `prompt` holds a special token or an image mark.
   */
  drawingPrompt(prompt: string): { before: number[] } {
    this.refuseControl(prompt, 'prompt');
    const [before] = this.aroundImage(this.ask(prompt) + IMAGE_MARK);
    return { before };
  }

  /** The ids around the image in P(T|I). Throws `usage` where `question` holds a special token or an image mark. */
  readingPrompt(question: string): { before: number[]; after: number[] } {
    this.refuseControl(question, 'question');
    const [before, after] = this.aroundImage(this.ask(`${IMAGE_MARK}\n${question}`));
    return { before, after };
  }

  /** The user's one turn and the opening of the assistant's. */
  private ask(content: string): string {
    return this.chat([{ role: 'user', content }], { add_generation_prompt: true });
  }

  /** The pieces before and after the one image. */
  private aroundImage(rendered: string): number[][] {
    const pieces = this.pieces(rendered);
    if (pieces.length === 2) return pieces;
    throw new MMARError(
      'checkpoint',
      `the chat template of ${this.place} leaves ${pieces.length - 1} ${IMAGE_MARK} marks in place of 1: mend it`,
    );
  }

  /** A user's text may not open or close turns, nor say where the image is: throws `usage`. */
  refuseControl(text: string, what: string): void {
    if (typeof text !== 'string') throw new MMARError('usage', `the ${what} is a ${typeof text}: give a string`);
    const id = this.encode(text).find((id) => this.special.has(id));
    const control = id === undefined ? undefined : this.tokenizer.id_to_token(id);
    const found = text.includes(IMAGE_MARK) ? IMAGE_MARK : control;
    if (found !== undefined) {
      throw new MMARError('usage', `the ${what} contains ${quote(found)}, which only mmar may write: leave it out`);
    }
  }
}

/**
 * Loads `tokenizer.json`, `tokenizer_config.json`, the chat template (in the latter, or `chat_template.jinja`) and the
 * ids that end an answer (`generation_config.json`, else the config's `eos_token`).
 *
 * Throws `checkpoint` where a file is missing or cannot be used.
 */
export async function loadTokenizer(checkpoint: Checkpoint, signal?: AbortSignal): Promise<TextTokenizer> {
  const place = checkpoint.source.name;
  const object = async (file: string) => {
    const value = await checkpoint.json(file, signal);
    if (value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value))) {
      return value as Record<string, unknown> | undefined;
    }
    throw new MMARError('checkpoint', `${file} in ${place} is no JSON object: download it again`);
  };
  const [model, settings = {}, generation = {}] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'].map(object),
  );
  if (!model) {
    throw new MMARError('checkpoint', `${place} has no tokenizer.json, so it knows no text: add it, or give token ids`);
  }
  const attempt = <T>(what: string, make: () => T): T => {
    try {
      return make();
    } catch (cause) {
      throw new MMARError('checkpoint', `${what} of ${place} cannot be used: ${oneLine(cause)}: download it again`, {
        cause,
      });
    }
  };
  const tokenizer = attempt('tokenizer.json', () => new Tokenizer(model, settings));
  const source = chat_template(settings) ?? (await checkpoint.text('chat_template.jinja', signal));
  const template = source === undefined ? undefined : attempt('the chat template', () => new Template(source));
  const named = namedTokens(settings);
  const ends = eosIds(place, generation, tokenizer.token_to_id(named.eos_token));
  return new TextTokenizer(place, tokenizer, template, named, ends);
}

/** `chat_template` is one text, or several by name of which the one named `default` is meant. */
function chat_template({ chat_template: given }: Record<string, unknown>): string | undefined {
  const choice = Array.isArray(given) ? given.find((item) => item?.name === 'default')?.template : given;
  return typeof choice === 'string' ? choice : undefined;
}

/** `bos_token`, `eos_token` … as a template may use them: a text, or an object around it. */
function namedTokens(settings: Record<string, unknown>): Record<string, string> {
  const named: Record<string, string> = {};
  for (const key of ['bos_token', 'eos_token', 'pad_token', 'unk_token']) {
    const token = settings[key];
    const text = typeof token === 'object' ? (token as { content?: unknown } | null)?.content : token;
    if (typeof text === 'string') named[key] = text;
  }
  return named;
}

function eosIds(place: string, generation: Record<string, unknown>, fallback: number | undefined): number[] {
  const given = generation.eos_token_id ?? fallback ?? [];
  const ids: unknown[] = Array.isArray(given) ? given : [given];
  for (const id of ids) {
    if (Number.isInteger(id) && (id as number) >= 0) continue;
    throw new MMARError(
      'checkpoint',
      `generation_config.json in ${place} has the eos_token_id ${JSON.stringify(id)}: ` +
        `give an id or a list of them`,
    );
  }
  return ids as number[];
}

const oneLine = (cause: unknown) =>
  String((cause as Error)?.message ?? cause)
    .replace(/\s+/g, ' ')
    .slice(0, 300);
