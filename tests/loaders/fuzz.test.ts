// Files and configs with a mistake in them: each is an MMARError of one line within two seconds, or loads what it says, bit
// for bit, and memory stays bounded. `npm run fuzz` tries 10,000; MMAR_MUTATIONS says how many otherwise.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { type Checkpoint, openCheckpoint } from '../../loaders/checkpoint.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { safetensorsBytes } from '../../loaders/safetensors.ts';
import { loadTokenizer } from '../../loaders/tokenizer.ts';
import { readConfig } from '../../model/mmar.ts';
import { planMemory } from '../../model/plan.ts';
import { planSystem } from '../../model/variants/index.ts';
import { mutateBytes, mutateText, mutateWeights, Random } from './mutate.ts';

const many = Number(process.env.MMAR_MUTATIONS ?? 600),
  seconds = 2,
  memory = 600e6;
const WEIGHTS = 'model.safetensors',
  INDEX = 'model.safetensors.index.json';
type Files = Map<string, Uint8Array>;

const utf8 = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const read = (folder: string, names: string[]): Files =>
  new Map(names.map((name) => [name, new Uint8Array(fs.readFileSync(`${folder}/${name}`))]));

/** The smallest golden model, with the carried checkpoint's tokenizer. */
const whole: Files = new Map([
  ...read('tests/golden/plain', ['config.json', WEIGHTS]),
  ...read('checkpoints/emoji', ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json']),
]);
/** Two shards, and an index over them. */
const shard = (name: string): Uint8Array =>
  safetensorsBytes([{ name, dtype: 'F32', shape: [2], data: Float32Array.of(1, 2) }]);
const sharded: Files = new Map([
  ['a.safetensors', shard('a')],
  ['b.safetensors', shard('b')],
  [INDEX, utf8({ metadata: { total_size: 16 }, weight_map: { a: 'a.safetensors', b: 'b.safetensors' } })],
]);

interface Mutation {
  what: string;
  files: Files;
}

function mutate(seed: number): Mutation {
  const random = new Random(seed);
  for (let i = 0; i < 4; i++) random.below(2); // neighbours' first numbers are alike
  const from = random.below(8) === 0 ? sharded : whole,
    name = random.of([...from.keys(), ...(from === whole ? ['config.json', 'config.json', WEIGHTS] : [INDEX])]);
  const before = from.get(name)!;
  const after = name.endsWith('.safetensors')
    ? mutateWeights(before, random)
    : random.below(3)
      ? utf8(mutateText(text(before), random))
      : mutateBytes(before, random);
  return { what: `seed ${seed}, ${name}`, files: new Map([...from, [name, after]]) };
}

/** What was opened is what the file says, read once more by other means. */
async function checkTensors(checkpoint: Checkpoint, files: Files): Promise<void> {
  for (const [name, { file, entry }] of checkpoint.tensors) {
    const bytes = files.get(file)!,
      length = Number(Buffer.from(bytes).readBigUInt64LE());
    const header = JSON.parse(text(bytes.subarray(8, 8 + length))) as Record<string, { data_offsets: number[] }>;
    const [from, to] = header[name].data_offsets,
      into = new Uint8Array(entry.bytes);
    await checkpoint.read(name, 0, into);
    assert.ok(Buffer.from(into).equals(bytes.subarray(8 + length + from, 8 + length + to)), name);
  }
}

/** Every value of a parsed config is the file's. */
function checkConfig(parsed: unknown, json: unknown, path = ''): void {
  if (typeof parsed !== 'object' || parsed === null || json === undefined || json === null) {
    if (json !== undefined && json !== null) assert.is(parsed, json, path);
    return;
  }
  for (const [key, value] of Object.entries(parsed))
    checkConfig(value, (json as Record<string, unknown>)[key], `${path}.${key}`);
}

/** Opens, parses and plans, as a command would. */
async function use(files: Files): Promise<void> {
  const checkpoint = await openCheckpoint(memorySource('fuzzed', files));
  if (files.has(INDEX)) return checkTensors(checkpoint, files);
  const config = await readConfig(checkpoint);
  checkConfig(config, JSON.parse(text(files.get('config.json')!)));
  planSystem(checkpoint, config, 'bf16').weights.check(checkpoint);
  if (files.get(WEIGHTS) !== whole.get(WEIGHTS)) await checkTensors(checkpoint, files);
  if (files.get('config.json') !== whole.get('config.json')) await planMemory(checkpoint, config);
  const tokenizer = await loadTokenizer(checkpoint);
  tokenizer.decode(tokenizer.encode('red apple'));
  tokenizer.drawingPrompt('red apple');
}

test(`${many} files and configs with a mistake`, async () => {
  await use(whole);
  await use(sharded);
  const outcomes = { refused: 0, taken: 0 },
    faults: string[] = [];
  const before = process.memoryUsage.rss();
  let most = before;
  for (let seed = 0; seed < many; seed++) {
    const { what, files } = mutate(seed),
      cpu = process.cpuUsage();
    try {
      await use(files);
      outcomes.taken++;
    } catch (error) {
      outcomes.refused++;
      const { message } = error as Error;
      if (!(error instanceof MMARError)) faults.push(`${what}: ${(error as Error).stack?.slice(0, 600)}`);
      else if (/\n/.test(message) || message.length > 1000)
        faults.push(`${what}: a long message: ${message.slice(0, 300)}`);
    }
    const { user, system } = process.cpuUsage(cpu);
    if (user + system > seconds * 1e6) faults.push(`${what}: ${((user + system) / 1e6).toFixed(1)} s of the processor`);
    most = Math.max(most, process.memoryUsage.rss());
  }
  console.log(
    `${outcomes.refused} refused, ${outcomes.taken} taken; ${Math.round((most - before) / 1e6)} MB more at most`,
  );
  assert.is(faults.length, 0, faults.slice(0, 20).join('\n'));
  assert.ok(outcomes.refused > many / 3 && outcomes.taken > 0);
  assert.ok(most - before < memory, `${Math.round((most - before) / 1e6)} MB`);
});

test.run();
