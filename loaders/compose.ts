/** Checkpoints made of parts that were published apart: a Qwen2 folder as the text model, a KL-16 file as the tokenizer. */
import { MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';
import { Checkpoint, type TensorPlace } from './checkpoint.ts';
import { memorySource } from './memory_source.ts';
import { readHeader } from './safetensors.ts';

export interface Composition {
  /** A plain Qwen2 checkpoint (HF names); its config and tokenizer come with it. */
  llm?: Checkpoint;
  /** A safetensors file with LDM's or MAR's KL-16, with or without `first_stage_model.` before its names. */
  vae?: { source: Source; file: string };
  /** A safetensors file with some of the checkpoint's own tensors, learned further: laid over it last. */
  patch?: { source: Source; file: string };
  /** Changes the config last. */
  config?: (json: unknown) => unknown;
}

const TEXT_FILES = ['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja'];

/**
 * `checkpoint` with parts of it from elsewhere. Nothing is copied: each tensor keeps its own source.
 *
 * Throws `checkpoint` where a part is not what it should be.
 */
export async function compose(
  checkpoint: Checkpoint,
  { llm, vae, patch, config: change }: Composition,
  signal?: AbortSignal,
): Promise<Checkpoint> {
  const tensors = new Map(checkpoint.tensors),
    files = new Map<string, Source>();
  const config = (await checkpoint.json('config.json', signal)) as Record<string, unknown> | undefined;
  const written = new Map<string, unknown>();
  if (llm) {
    written.set('config.json', { ...config, llm: await qwen2Config(llm, signal) });
    replace(tensors, 'llm.', llmTensors(llm), (name) => !/\.lora_[AB]\./.test(name));
    for (const file of TEXT_FILES) files.set(file, llm.source);
    const { eos_token_id: _, ...mine } = ((await checkpoint.json('generation_config.json', signal)) ?? {}) as Record<
      string,
      unknown
    >;
    const { eos_token_id } = ((await llm.json('generation_config.json', signal)) ?? {}) as Record<string, unknown>;
    written.set('generation_config.json', { ...mine, eos_token_id });
  }
  if (vae) replace(tensors, 'image_tokenizer.', await vaeTensors(vae.source, vae.file, signal), () => true);
  if (patch) await layOver(tensors, patch, signal);
  if (change) written.set('config.json', change(written.get('config.json') ?? config));
  const texts = memorySource(
    checkpoint.source.name,
    new Map([...written].map(([file, json]) => [file, new TextEncoder().encode(JSON.stringify(json))])),
  );
  for (const file of written.keys()) files.set(file, texts);
  return new Checkpoint(
    overlay(
      checkpoint.source,
      files,
      [llm?.source, vae?.source, patch?.source].filter((source) => source !== undefined),
    ),
    tensors,
  );
}

/** The tensors under `prefix` that `replaced` names give way to `parts`. */
function replace(
  tensors: Map<string, TensorPlace>,
  prefix: string,
  parts: Map<string, TensorPlace>,
  replaced: (name: string) => boolean,
): void {
  for (const name of [...tensors.keys()]) if (name.startsWith(prefix) && replaced(name)) tensors.delete(name);
  for (const [name, place] of parts) tensors.set(prefix + name, place);
}

/** The config of a Qwen2 folder; `checkpoint` error where it is another model's. */
export async function qwen2Config(llm: Checkpoint, signal?: AbortSignal): Promise<Record<string, unknown>> {
  const json = (await llm.json('config.json', signal)) as Record<string, unknown> | null | undefined;
  if (json === undefined)
    throw new MMARError(
      'checkpoint',
      `${llm.source.name} has no config.json; give the folder of a Qwen2 or Qwen2.5 checkpoint`,
    );
  if (json?.model_type === 'qwen2') return json;
  const found =
    json?.model_type === 'mmar'
      ? 'is an MMAR checkpoint: give it as --model'
      : `has the model_type ${JSON.stringify(json?.model_type)}: give a Qwen2 or Qwen2.5 folder`;
  throw new MMARError('checkpoint', `${llm.source.name} ${found}`);
}

function llmTensors({ source, tensors }: Checkpoint): Map<string, TensorPlace> {
  if (tensors.has('model.embed_tokens.weight')) return tensors;
  throw new MMARError(
    'checkpoint',
    `${source.name} has no model.embed_tokens.weight; give a Qwen2 folder with the names of Hugging Face's model`,
  );
}

const VAE_PART = /^(?:first_stage_model\.)?((?:encoder|decoder|quant_conv|post_quant_conv)\..+)$/;

/** An autoencoder's tensors, LDM's other ones (the denoiser's, the loss's) left out. */
async function vaeTensors(source: Source, file: string, signal?: AbortSignal): Promise<Map<string, TensorPlace>> {
  const header = await readHeader(source, file, signal),
    parts = new Map<string, TensorPlace>();
  for (const [name, entry] of header.tensors) {
    const part = VAE_PART.exec(name)?.[1];
    if (part && !parts.has(part)) parts.set(part, { source, file, entry });
  }
  for (const name of [
    'encoder.conv_in.weight',
    'decoder.conv_in.weight',
    'quant_conv.weight',
    'post_quant_conv.weight',
  ]) {
    if (parts.has(name)) continue;
    const [first] = header.tensors.keys();
    throw new MMARError(
      'checkpoint',
      `${file} in ${source.name} has no ${name}${first ? ` (its first tensor is ${first})` : ''}; give an LDM or MAR KL-16 autoencoder`,
    );
  }
  return parts;
}

/** Puts a patch's tensors in place of those of their names; a `checkpoint` error where it was made for another model. */
async function layOver(
  tensors: Map<string, TensorPlace>,
  { source, file }: { source: Source; file: string },
  signal?: AbortSignal,
): Promise<void> {
  const { tensors: changed } = await readHeader(source, file, signal);
  for (const [name, entry] of changed) {
    const before = tensors.get(name)?.entry.shape;
    if (before?.join() !== entry.shape.join())
      throw new MMARError(
        'checkpoint',
        `${file} in ${source.name} does not fit the model: its ${name} is [${entry.shape.join(', ')}], the model ${before ? `has [${before.join(', ')}]` : 'has none'}; give the patch's own model`,
      );
    tensors.set(name, { source, file, entry });
  }
}

/** `base`, but some files from other sources; `close` closes them and `others` too. */
function overlay(base: Source, files: Map<string, Source>, others: Source[]): Source {
  const of = (file: string): Source => files.get(file) ?? base;
  return {
    name: base.name,
    size: (file, signal) => of(file).size(file, signal),
    read: (file, offset, into, signal) => of(file).read(file, offset, into, signal),
    async close() {
      await Promise.all([base, ...files.values(), ...others].map((source) => source.close()));
    },
  };
}
