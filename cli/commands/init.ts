import fs from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { checkCancelled, MMARError } from '../../base/error.ts';
import { layOut } from '../../loaders/safetensors.ts';
import { withSettings } from '../../model/overrides.ts';
import { declaredTensors, RandomTensor, shardsOf } from '../../model/random_weights.ts';
import { writeFileWhole } from '../../platform/node.ts';
import { addSetting } from '../checkpoint.ts';
import { usage } from '../errors.ts';
import { count, option, someText } from '../options.ts';
import { carriedCheckpoint, packageRoot } from '../places.ts';
import { megabytes, Progress, secondsSince } from '../progress.ts';
import { cleanups, stopSignal } from '../stop.ts';

interface Options {
  config: string;
  seed: number;
  shardSize: number;
  set?: Record<string, string>;
  json?: boolean;
}

const examples = `
The weights are random, of sensible scale, in bf16: the model draws nothing meaningful, but all its sizes are true. The
same seed gives the same tensors in shards of any size. No tokenizer is made: the carried checkpoint's is copied where
its ids fit the model's vocabulary, so that prompts can be given.

Examples:
  mmar init ./mmar-0.5b --config mmar-0.5b
  mmar init ./two-layers --config mmar-7b --set llm.num_hidden_layers=2 --shard-size 5GB --seed 7
  mmar init ./mine --config my-config.json`;

export function addInit(program: Command): void {
  program
    .command('init')
    .description('Write a checkpoint of random weights, to test sizes and speed.')
    .argument('<dir>', 'a folder that is new or empty')
    .addOption(
      option('--config <name>', `${carriedConfigs().join(', ')}, or a JSON file`, someText).makeOptionMandatory(),
    )
    .addOption(option('--seed <n>', 'the same seed gives the same weights', count(0)).default(0))
    .addOption(
      option('--shard-size <size>', 'the most that one file holds, such as 500MB or 2GiB', bytes).default(2e9, '2GB'),
    )
    .option('--set <key=value...>', 'other values for the config, such as llm.num_hidden_layers=2', addSetting)
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples)
    .action(init);
}

function bytes(name: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/i.exec(text) ?? [];
  const power = 'kmgt'.indexOf(unit[0]?.toLowerCase() ?? '?') + 1,
    value = Math.floor(Number(number) * (/i/i.test(unit) ? 1024 : 1000) ** power);
  if (value >= 1) return value;
  throw usage(`${name} is ${JSON.stringify(text)}; give a size such as 500MB or 2GiB`);
}

const configFolder = (): string => path.join(packageRoot(), 'configs');

/** The names of the configs that the package carries. */
export const carriedConfigs = (): string[] =>
  fs.readdirSync(configFolder()).map((file) => path.basename(file, '.json'));

/** A config by name, from this package, or of a file. */
export function readConfigFile(name: string): unknown {
  const carried = path.join(configFolder(), `${name}.json`);
  const file = /^[\w.-]+$/.test(name) && fs.existsSync(carried) ? carried : name;
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')) as unknown;
  } catch (cause) {
    const problem =
      (cause as NodeJS.ErrnoException).code === 'ENOENT'
        ? 'there is no such config'
        : `it cannot be read (${(cause as Error).message})`;
    throw new MMARError('file', `--config ${name}: ${problem}; give ${carriedConfigs().join(', ')}, or a JSON file`);
  }
}

async function init(dir: string, { config: name, seed, shardSize, set = {}, json }: Options): Promise<void> {
  const config = withSettings(readConfigFile(name), set),
    tensors = declaredTensors(config, name),
    shards = shardsOf(tensors, shardSize);
  const total = [...tensors.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 2), 0);
  const start = performance.now(),
    progress = new Progress(json),
    made = new Made(dir);
  cleanups.add(made.remove); // a second Ctrl-C leaves at once
  try {
    made.folder();
    made.checkRoom(total);
    progress.start('writing', total, megabytes);
    let written = 0;
    const fileOf = (i: number) =>
      shards.length === 1
        ? 'model.safetensors'
        : `model-${String(i + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`;
    for (const [i, shard] of shards.entries()) {
      const count = (bytes: number) => {
        written += bytes;
        progress.update(written);
      };
      await made.write(fileOf(i), shardParts(shard, seed, count));
    }
    const tokenizer = copiedTokenizer(config);
    for (const [file, content] of [...tokenizer, ['config.json', JSON.stringify(config, undefined, 2)]])
      await made.write(file, Buffer.from(content));
    if (shards.length > 1) {
      // last: without it there is no checkpoint
      const weight_map = Object.fromEntries(
        shards.flatMap((shard, i) => shard.map((tensor) => [tensor.name, fileOf(i)])).sort(),
      );
      await made.write(
        'model.safetensors.index.json',
        Buffer.from(JSON.stringify({ metadata: { total_size: total }, weight_map }, undefined, 1)),
      );
    }
    progress.stop();
    const seconds = secondsSince(start),
      files = shards.map((_, i) => fileOf(i)),
      parameters = total / 2;
    if (json)
      console.log(JSON.stringify({ dir, files, parameters, bytes: total, seconds, tokenizer: tokenizer.length > 0 }));
    else {
      console.log(
        `${dir}  ${(parameters / 1e9).toFixed(3)} billion parameters, ${megabytes(total)} in ${files.length} ${files.length > 1 ? 'files' : 'file'}, ${seconds.toFixed(1)} s (${megabytes(total / seconds)}/s)`,
      );
      console.log(
        tokenizer.length
          ? "tokenizer: the carried checkpoint's"
          : "tokenizer: none, for the vocabulary is smaller than the carried one's: add tokenizer.json to give prompts",
      );
    }
  } catch (error) {
    progress.stop();
    made.remove();
    throw error;
  } finally {
    cleanups.delete(made.remove);
  }
}

const chunkElements = 1 << 22;

/** A file's head, then the tensors' bytes, a few MB at a time. */
async function* shardParts(
  tensors: { name: string; shape: number[] }[],
  seed: number,
  done: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const { head, entries } = layOut(
    tensors.map((tensor) => ({ ...tensor, dtype: 'BF16' as const })),
    { format: 'pt' },
  );
  yield head;
  const values = new Uint16Array(chunkElements);
  for (const { name, shape, bytes } of entries) {
    const random = new RandomTensor(name, shape, seed);
    for (let first = 0; first < bytes / 2; first += chunkElements) {
      checkCancelled(stopSignal);
      const part = values.subarray(0, Math.min(chunkElements, bytes / 2 - first));
      random.fill(first, part);
      yield new Uint8Array(part.buffer, 0, part.byteLength);
      done(part.byteLength);
    }
  }
}

/** The files of the carried tokenizer, where every id of it is one of the model's. */
export function copiedTokenizer(config: unknown): [string, string][] {
  const folder = carriedCheckpoint(),
    read = (file: string) => fs.readFileSync(path.join(folder, file), 'utf8');
  const { vocab_size } = (config as { llm: { vocab_size: number } }).llm,
    carried = JSON.parse(read('config.json')) as { llm: { vocab_size: number } };
  return carried.llm.vocab_size > vocab_size
    ? []
    : ['tokenizer.json', 'tokenizer_config.json'].map((file) => [file, read(file)]);
}

/** What has been made so far, so that all of it can go. */
class Made {
  private readonly files: string[] = [];
  private madeFolder = false;

  constructor(private readonly dir: string) {}

  folder(): void {
    const { dir } = this;
    try {
      if (!fs.existsSync(dir)) {
        fs.mkdirSync(dir);
        this.madeFolder = true;
      } else if (fs.readdirSync(dir).length) throw usage(`${dir} is not empty; give a new folder`);
    } catch (cause) {
      if (cause instanceof MMARError) throw cause;
      throw new MMARError(
        'file',
        `cannot write ${dir}: ${(cause as Error).message.split(',')[0]}; make its parent folder, or give another`,
        { cause },
      );
    }
  }

  checkRoom(total: number): void {
    const { bavail, bsize } = fs.statfsSync(this.dir),
      free = bavail * bsize;
    if (free < total)
      throw new MMARError(
        'file',
        `cannot write ${this.dir}: ${megabytes(total)} are needed, but the disk has ${megabytes(free)} left; free some space, or give another folder`,
      );
  }

  async write(file: string, content: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    this.files.push(file);
    await writeFileWhole(path.join(this.dir, file), content, stopSignal);
  }

  remove = (): void => {
    const { dir } = this;
    for (const file of this.files) fs.rmSync(path.join(dir, file), { force: true });
    if (!fs.existsSync(dir)) return;
    for (const name of fs.readdirSync(dir))
      if (name.startsWith(`.mmar-${process.pid}-`)) fs.rmSync(path.join(dir, name), { force: true });
    if (this.madeFolder && !fs.readdirSync(dir).length) fs.rmdirSync(dir);
  };
}
