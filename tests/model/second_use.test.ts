// What a model does the second time is what a fresh one does the first time: other seeds, settings, texts and questions on
// one model, several pictures side by side, calls that come at once, and calls that are refused.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { memorySource } from '../../loaders/memory_source.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import { hiddenAfter } from '../../model/sampler.ts';
import type { DrawingSettings } from '../../model/settings.ts';
import { nodePlatform } from '../../platform/node.ts';
import { permutation } from '../../shaders/random.ts';
import { device, numbers, refused } from '../gpu.ts';

const folders = ['plain', 'vq', 'transfusion'];
const load = (folder: string) => loadMMAR(nodePlatform.source(path.join('tests/golden', folder)), { device });

interface Use {
  before: number[];
  seeds: number[];
  settings: Partial<DrawingSettings>;
}

/** Settings of every system; each takes its own. */
const uses: Use[] = [
  { before: [5, 9, 29, 200, 3], seeds: [4], settings: { iterations: 4, steps: 5, cfg: 2, eta: 0, temperature: 1 } },
  { before: [5, 9, 29, 200, 3], seeds: [5], settings: { iterations: 4, steps: 5, cfg: 2, eta: 0, temperature: 1 } },
  { before: [5, 9, 29, 200, 3], seeds: [4], settings: { iterations: 4, steps: 5, cfg: 2, eta: 0, temperature: 0.7 } },
  { before: [5, 9, 29, 200, 3], seeds: [4], settings: { iterations: 4, steps: 5, cfg: 1, eta: 0, temperature: 1 } },
  {
    before: Array.from({ length: 60 }, (_, i) => 1 + i),
    seeds: [4],
    settings: { iterations: 4, steps: 5, cfg: 1, eta: 0, temperature: 1 },
  },
  { before: [5, 9, 29, 200, 3], seeds: [4], settings: { iterations: 4, steps: 5, cfg: 3, eta: 0, temperature: 1 } },
  { before: [5, 9, 29, 7], seeds: [4], settings: { iterations: 3, steps: 7, cfg: 3, eta: 0, temperature: 1 } },
  { before: [5, 9, 29, 7], seeds: [4], settings: { iterations: 3, steps: 9, cfg: 3, eta: 0, temperature: 1 } },
  { before: [5, 9, 29, 7], seeds: [4], settings: { iterations: 3, steps: 9, cfg: 3, eta: 1, temperature: 1 } },
  { before: [5, 9, 29, 7], seeds: [4], settings: { iterations: 3, steps: 9, cfg: 3, eta: 1, temperature: 0.5 } },
  { before: [8], seeds: [4], settings: { iterations: 16, steps: '6:2', cfg: 1, eta: 0, temperature: 1 } },
];

async function draw(model: MMAR, { before, seeds, settings }: Use): Promise<number[]> {
  const { image_tokens: L } = model.config;
  const own = Object.fromEntries(Object.entries(settings).filter(([key]) => key in model.system.settings));
  const pictures = seeds.map((seed) => ({ order: permutation(L, seed), chance: { seed } }));
  const input = { before, uncond: [5, 3], pictures };
  return [...(await model.drawTokens(input, model.settings(own))).tokens];
}

for (const folder of folders) {
  test(`${folder}: drawings on one model are those of fresh ones`, async () => {
    const model = await load(folder);
    const drawn: number[][] = [];
    for (const use of [...uses, uses[0]]) drawn.push(await draw(model, use));
    await model.close();
    for (const [i, use] of uses.entries()) {
      const fresh = await load(folder);
      assert.equal(drawn[i], await draw(fresh, use), `drawing ${i}`);
      await fresh.close();
    }
    assert.equal(drawn.at(-1), drawn[0], 'the first one again');
    const different = new Set(drawn.map((tokens) => tokens.join())).size;
    assert.ok(different >= uses.length - 2, `${different} different of ${uses.length}`);
  });

  if (folder !== 'transfusion')
    test(`${folder}: what the next iteration runs is recorded while this one runs`, async () => {
      const model = await load(folder),
        { image_tokens: L } = model.config,
        { record, queue } = device,
        { pace } = queue;
      const log: string[] = [];
      device.record = (name, recorded) => {
        log.push(name);
        return record.call(device, name, recorded);
      };
      queue.pace = (signal) => {
        log.push('paced'); // the end of an iteration
        return pace.call(queue, signal);
      };
      try {
        await draw(model, { ...uses[0], settings: { ...uses[0].settings, iterations: 5 } });
      } finally {
        device.record = record;
        queue.pace = pace;
      }
      const hidden = [L, ...hiddenAfter(L, 5)],
        counts = hidden.slice(1).map((left, k) => hidden[k] - left);
      assert.ok(new Set(counts).size > 2, `${counts}`);
      const recorded = (count: number) => log.findIndex((name) => new RegExp(`^(begin|draw) ${count}$`).test(name));
      let end = recorded(counts[0]);
      for (const count of counts.slice(1)) {
        end = log.indexOf('paced', end + 1);
        assert.ok(recorded(count) >= 0 && recorded(count) < end, `${count} of ${counts}: ${log.join(', ')}`);
      }
      await model.close();
    });

  test(`${folder}: pictures side by side are those drawn alone`, async () => {
    const model = await load(folder);
    for (const use of [uses[0], uses[6]]) {
      const alone: number[] = [];
      for (const seed of [1, 2, 77]) alone.push(...(await draw(model, { ...use, seeds: [seed] })));
      assert.equal(await draw(model, { ...use, seeds: [1, 2, 77] }), alone);
    }
    await model.close();
  });
}

test('steps that fall are other ones than the same number each time', async () => {
  const model = await load('plain');
  const of = (steps: number | string, iterations = 4) =>
    draw(model, { ...uses[0], settings: { iterations, steps, cfg: 2, eta: 0, temperature: 1 } });
  const [constant, falling] = [await of(6), await of('6:2')];
  assert.not.equal(falling, constant);
  assert.equal(await of('6:6'), constant);
  assert.equal(await of('6:2', 1), await of(6, 1), 'the first tokens have the first number');
  await model.close();
});

const greedy = { temperature: 0, top_p: 1, seed: 0, max_new_tokens: 6, eosIds: [] };
/** A model of random weights has one likeliest token whatever it sees; at a high temperature what it sees decides. */
const sampled = { ...greedy, temperature: 3, seed: 5, max_new_tokens: 8 };

test('a second question about a picture, another picture, and the first again, as fresh models answer them', async () => {
  const model = await load('plain');
  const size = model.config.image_tokens * model.config.image_tokenizer.embed_dim;
  const [a, b] = [numbers(size, 'f32', 1), numbers(size, 'f32', 2)];
  const questions = [
    { before: [3, 4], tokens: a, after: [7, 8, 28] },
    { before: [3, 4], tokens: a, after: [7, 8, 30, 31] },
    { before: [3, 4], tokens: b, after: [7, 8, 28] },
    { before: [3, 4], tokens: a, after: [7, 8, 28] },
    { before: [3, 4], tokens: a, after: [7, 8, 28] },
  ];
  const answer = async (on: MMAR, question: (typeof questions)[number]) => {
    const ids: number[] = [];
    for await (const id of on.read(question, sampled)) ids.push(id);
    return ids;
  };
  for (const question of questions) {
    const fresh = await load('plain');
    const want = await answer(fresh, question);
    await fresh.close();
    assert.is(want.length, 8);
    assert.equal(await answer(model, question), want);
  }
  assert.not.equal(await answer(model, questions[2]), await answer(model, questions[0]), 'they look at the picture');
  const [first] = await answer(model, questions[0]);
  const ended: number[] = [];
  for await (const id of model.read(questions[0], { ...sampled, eosIds: [first] })) ended.push(id);
  assert.equal(ended, [], 'the id that ends an answer is no part of it');
  await model.close();
});

test('a reading that was stopped leaves nothing behind that the next one takes for read', async () => {
  const model = await load('plain');
  const tokens = numbers(64, 'f32', 1);
  const [one, other] = [
    { before: [3, 4, 5], tokens, after: [7, 8, 28] },
    { before: [9, 4], tokens: numbers(64, 'f32', 2), after: [7, 6, 5, 8, 28] },
  ];
  const answer = async (question: typeof one, signal?: AbortSignal) => {
    const ids: number[] = [];
    for await (const id of model.read(question, { ...sampled, max_new_tokens: 3 }, signal)) ids.push(id);
    return ids;
  };
  const want = await answer(one);
  /** A signal that says at its nth look that it was aborted. */
  const stopAt = (n: number) => {
    let looks = 0;
    const listeners = { addEventListener() {}, removeEventListener() {}, reason: 'test' };
    return { get aborted() { return ++looks >= n }, ...listeners } as unknown as AbortSignal; // biome-ignore format: one line
  };
  let stops = 0;
  for (let n = 1; n < 8; n++) {
    const ended = await answer(other, stopAt(n)).catch((error: { code: string }) => error.code);
    if (ended === 'cancelled') stops++;
    assert.equal(await answer(one), want, `after a stop at look ${n}`);
  }
  assert.ok(stops > 2, `${stops} stops`);
  await model.close();
});

test('texts up to the last position; a longer one than before; a drawing of another shape, and back', async () => {
  const most = 160;
  const place = 'tests/golden/plain';
  const config = JSON.parse(fs.readFileSync(`${place}/config.json`, 'utf8'));
  const shortConfig = JSON.stringify({ ...config, llm: { ...config.llm, max_position_embeddings: most } });
  const files = new Map<string, Uint8Array>([
    ['config.json', Buffer.from(shortConfig)],
    ['model.safetensors', new Uint8Array(fs.readFileSync(`${place}/model.safetensors`))],
  ]);
  const loadShort = () => loadMMAR(memorySource('short', files), { device });
  const model = await loadShort();
  const tokens = numbers(64, 'f32', 1);
  const ids = async (length: number, max_new_tokens: number, on = model) => {
    const question = { before: [3, 4], tokens, after: Array.from({ length }, (_, i) => 5 + (i % 90)) };
    const all: number[] = [];
    for await (const id of on.read(question, { ...sampled, max_new_tokens })) all.push(id);
    return all;
  };
  const taken = model.config.image_tokens + 4; // ids before, image start and end, the image
  const short = await ids(3, 4);
  assert.is((await ids(most - taken - 4, 100)).length, 3, 'as many as there is room for');
  assert.match(await refused(() => ids(most - taken - 1, 100), 'usage'), new RegExp(`the model has ${most} positions`));
  assert.equal(await ids(3, 4), short);
  const fresh = await loadShort();
  const other = await loadShort();
  await ids(3, 4, other); // in a cache that is too short for what follows
  assert.equal(await ids(100, 4, other), await ids(100, 4, fresh));
  await other.close();
  await fresh.close();

  const shapes = async () => {
    for (const cfg of [1, 2]) await draw(model, { ...uses[0], settings: { ...uses[0].settings, cfg } });
  };
  await shapes();
  const { held } = device.memory;
  for (let i = 0; i < 3; i++) await shapes();
  assert.ok(device.memory.held <= 1.02 * held, `${held} bytes, then ${device.memory.held}`);
  await model.close();
});

test('calls that come at once each get their own; what makes no sense is refused and leaves the model as it was', async () => {
  const { held } = device.memory;
  const model = await load('plain');
  const size = model.config.image_tokens * model.config.image_tokenizer.embed_dim;
  const [a, b] = [numbers(size, 'f32', 1), numbers(size, 'f32', 2)];
  const [one, two] = [await model.decode({ tokens: a }), await model.decode({ tokens: b })];
  assert.equal(await Promise.all([model.decode({ tokens: a }), model.decode({ tokens: b })]), [one, two]);
  assert.not.equal(one, two);
  assert.match(await refused(() => model.decode({ tokens: a.subarray(1) }), 'shape'), /tokens has \d+ numbers/);

  const alone = await draw(model, uses[0]);
  const steps = { ...uses[0], settings: { ...uses[0].settings, steps: 1.5 } };
  assert.match(await refused(() => draw(model, steps), 'usage'), /steps is 1.5; give a whole number from 1/);
  assert.match(await refused(() => draw(model, { ...uses[0], before: [99999] }), 'usage'), /has the id 99999/);
  assert.match(await refused(() => draw(model, { ...uses[0], before: [1.5] }), 'usage'), /has the id 1.5/);
  const read = (question: object) => model.read({ before: [3], tokens: a, after: [7], ...question }, greedy).next();
  assert.match(await refused(() => read({ tokens: a.subarray(1) }), 'shape'), /tokens has \d+ numbers/);
  assert.match(await refused(() => read({ after: [99999] }), 'usage'), /has the id 99999/);
  await refused(() => model.generate({ seeds: [] }), 'usage');
  for (const wrong of [Uint32Array.from({ length: 16 }, () => 3), permutation(15, 1), permutation(17, 1)]) {
    const pictures = [{ order: wrong, chance: { seed: 1 } }];
    const drawing = () => model.drawTokens({ before: [1], uncond: [5], pictures }, model.settings({}));
    assert.match(await refused(drawing, 'usage'), /order is no permutation of the 16/);
  }
  for (const seed of [-1, 1.5, 2 ** 53]) await refused(() => model.generate({ seed }), 'usage');
  assert.equal(await Promise.all([draw(model, uses[0]), draw(model, uses[1]), draw(model, uses[0])]), [
    alone,
    await draw(model, uses[1]),
    alone,
  ]);

  // One that waits can be stopped; close waits for what runs, and refuses what waits and what comes.
  const running = draw(model, uses[0]);
  const stop = new AbortController();
  const input = { before: [1], uncond: [5], pictures: [{ order: permutation(16, 1), chance: { seed: 1 } }] };
  const waiting = refused(() => model.drawTokens(input, model.settings({}), stop.signal), 'cancelled');
  stop.abort();
  await waiting;
  const closing = model.close();
  const late = refused(() => draw(model, uses[0]), 'usage');
  assert.equal(await running, alone);
  await closing;
  assert.match(await late, /closed/);
  assert.is(device.memory.held, held);
});

/** A closed model ends by itself within this time; one that waits for its own reader never does. */
const soon = <T>(what: Promise<T>, name: string): Promise<T> =>
  Promise.race([
    what,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`${name} still waits`)), 20_000).unref();
    }),
  ]);

test('a model that is closed in the loop of its own stream closes, and the stream says so; a call runs to its end', async () => {
  const question = { before: [3, 4], tokens: numbers(64, 'f32', 1), after: [7, 8, 28] };
  const input = { before: [1], uncond: [5], pictures: [{ order: permutation(16, 1), chance: { seed: 1 } }] };
  const streams: Record<string, (model: MMAR) => AsyncGenerator<unknown>> = {
    draw: (model) => model.draw(input, model.settings({ iterations: 4, steps: 2 })),
    read: (model) => model.read(question, greedy),
  };
  for (const [name, stream] of Object.entries(streams)) {
    const { held } = device.memory;
    const model = await load('plain');
    let steps = 0;
    const loop = async () => {
      for await (const _ of stream(model)) {
        steps++;
        await model.close();
      }
    };
    assert.match(await soon(refused(loop, 'usage'), name), /the model was closed/);
    assert.is(steps, 1, name);
    assert.ok(device.memory.held <= held, `${name}: ${device.memory.held} bytes held, ${held} before`);

    const left = await load('plain');
    for await (const _ of stream(left)) {
      await soon(left.close(), name);
      break;
    }
    const collected = await load('plain');
    const all: unknown[] = [];
    const collecting = (async () => {
      for await (const value of stream(collected)) {
        all.push(value);
        if (all.length === 1) void collected.close();
      }
    })();
    await soon(collecting, name);
    await soon(collected.close(), name);
    assert.is(all.length, name === 'draw' ? 4 : 6, `${name}: a reader that asks on gets all`);
  }
});

test('what is called in the loop of a stream goes ahead, and both get their own', async () => {
  const question = { before: [3, 4], tokens: numbers(64, 'f32', 1), after: [7, 8, 28] };
  const input = { before: [1], uncond: [5], pictures: [{ order: permutation(16, 1), chance: { seed: 1 } }] };
  const settings = { iterations: 4, steps: 2 };
  const all = async <T>(stream: AsyncGenerator<T>): Promise<T[]> => {
    const values: T[] = [];
    for await (const value of stream) values.push(value);
    return values;
  };
  const { held } = device.memory;
  const model = await load('plain');
  const alone = {
    drawn: [...(await model.drawTokens(input, model.settings(settings))).tokens],
    other: await draw(model, uses[1]),
    answer: await all(model.read(question, greedy)),
  };
  const both = (async () => {
    let tokens: Float32Array | undefined;
    for await (const step of model.draw(input, model.settings(settings))) {
      assert.equal(await draw(model, uses[1]), alone.other);
      assert.equal(await all(model.read(question, greedy)), alone.answer);
      tokens = await step.tokens();
    }
    assert.equal([...tokens!], alone.drawn);
    const answer: number[] = [];
    for await (const id of model.read(question, greedy)) {
      answer.push(id);
      if (answer.length === 2)
        assert.equal(await all(model.read({ ...question, after: [7] }, greedy)).then((a) => a.length), 6);
    }
    assert.equal(answer, alone.answer);
  })();
  await soon(both, 'a call in a loop');
  // One left in its loop's middle, with another begun inside, and closed there.
  for await (const _ of model.draw(input, model.settings(settings))) {
    for await (const _ of model.draw(input, model.settings(settings))) {
      await soon(model.close(), 'close in two loops');
      break;
    }
    break;
  }
  assert.ok(device.memory.held <= held, `${device.memory.held} bytes held, ${held} before`);
});

test('texts of many lengths, many temperatures and numbers of tokens take no more memory in the end', async () => {
  const model = await load('plain');
  const use = async (n: number) => {
    const settings = { iterations: 1 + (n % 16), steps: 2, cfg: 2, temperature: 0.5 + n / 100 };
    await draw(model, { before: Array.from({ length: 1 + n }, (_, i) => i + 1), seeds: [n], settings });
    for await (const _ of model.read(
      { before: [1, n], tokens: new Float32Array(64).fill(n), after: Array(1 + n).fill(2) },
      { ...greedy, temperature: n / 50, top_p: 1 - n / 100, max_new_tokens: 2 },
    ));
  };
  for (let n = 40; n > 20; n--) await use(n);
  const { held } = device.memory;
  for (let n = 40; n > 0; n--) await use(n);
  assert.ok(device.memory.held <= 1.02 * held, `${held} bytes, then ${device.memory.held}`);
  await model.close();
});

test.run();
