import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { drawExample, drawMask, drawNoise, drawTimes, type Item } from '../../training/examples.ts';
import { Draws } from '../../training/random.ts';
import { learningRate, trainingSettings } from '../../training/settings.ts';

const items: Item[] = Array.from({ length: 7 }, (_, i) => ({
  tokens: [i],
  texts: [`text ${i}`, `other ${i}`],
  questions: [{ question: 'What?', answer: `answer ${i}` }],
}));

const nameOf = ({ texts }: Item) => texts[0];

test('a number depends on seed, step, purpose and index alone', () => {
  const first = (...place: ConstructorParameters<typeof Draws>) => new Draws(...place).word();
  assert.is(first(1, 2, 'mask', 3), first(1, 2, 'mask', 3));
  const others = [first(2, 2, 'mask', 3), first(1, 3, 'mask', 3), first(1, 2, 'time', 3), first(1, 2, 'mask', 4)];
  assert.is(new Set([first(1, 2, 'mask', 3), ...others]).size, 5);
});

test('an order may keep a place', () => {
  const orders = Array.from({ length: 50 }, (_, i) => new Draws(1, i, 'order').permutation(4));
  assert.ok(orders.some((order) => order.some((to, from) => to === from)));
});

test('noise is normal', () => {
  const noise = drawNoise(5, 0, 0, 100_000),
    mean = noise.reduce((sum, x) => sum + x, 0) / noise.length,
    variance = noise.reduce((sum, x) => sum + x * x, 0) / noise.length;
  assert.ok(Math.abs(mean) < 0.01 && Math.abs(variance - 1) < 0.02, `mean ${mean}, variance ${variance}`);
});

test('times are uniform over 0 … T-1', () => {
  const times = drawTimes(5, 0, 0, 100_000, 10),
    counts = new Array<number>(10).fill(0);
  for (const t of times) counts[t]++;
  assert.ok(
    counts.every((n) => Math.abs(n - 10_000) < 500),
    counts.join(),
  );
});

for (const [stage, generation, empty] of [
  [1, 0.55, 0.1],
  [2, 0.55, 0.1],
  [3, 1, 0.19],
] as const) {
  test(`stage ${stage}: shares of the tasks`, () => {
    const settings = trainingSettings({ stage, batch: 10 });
    const drawn = Array.from({ length: 20_000 }, (_, i) =>
        drawExample(settings, { items }, Math.floor(i / 10), i % 10),
      ),
      generated = drawn.filter((e) => e.task === 'generation');
    assert.ok(Math.abs(generated.length / drawn.length - generation) < 0.015, String(generated.length));
    const emptied = generated.filter((e) => e.prompt === '').length / drawn.length;
    assert.ok(Math.abs(emptied - empty) < 0.01, String(emptied));
  });
}

test('each picture comes once a round, whatever the batch', () => {
  const settings = trainingSettings({ batch: 4 });
  const drawn = Array.from({ length: 28 }, (_, i) => drawExample(settings, { items }, Math.floor(i / 4), i % 4).item);
  for (let round = 0; round < 4; round++) assert.is(new Set(drawn.slice(7 * round, 7 * round + 7)).size, 7);
  assert.is.not(drawn.slice(0, 7).map(nameOf).join(), drawn.slice(7, 14).map(nameOf).join());
});

test('rehearsed pictures have their share', () => {
  const settings = trainingSettings({ batch: 10, rehearsed: 0.375 }),
    rehearsed = items.map((item) => ({ ...item }));
  const drawn = Array.from({ length: 20_000 }, (_, i) =>
    drawExample(settings, { items, rehearsed }, Math.floor(i / 10), i % 10),
  );
  const share = drawn.filter(({ item }) => rehearsed.includes(item)).length / drawn.length;
  assert.ok(Math.abs(share - 0.375) < 0.015, String(share));
});

for (const [stage, least] of [
  [1, 0.7],
  [2, 0],
] as const) {
  test(`stage ${stage}: masks hide from ${least} L to L positions, each once`, () => {
    const settings = trainingSettings({ stage });
    let most = 0,
      sum = 0;
    for (let i = 0; i < 2000; i++) {
      const mask = drawMask(settings, 64, 0, i);
      assert.ok(mask.length >= Math.max(1, least * 64) && mask.length <= 64, `${mask.length} hidden`);
      assert.ok(
        mask.every((at, k) => at < 64 && (!k || at > mask[k - 1])),
        mask.join(),
      );
      most = Math.max(most, mask.length);
      sum += mask.length / 64;
    }
    assert.is(most, 64);
    assert.ok(sum / 2000 > 0.75 && sum / 2000 < 0.9, `on average ${sum / 2000}`);
  });
}

test('settings are checked, and named with their value', () => {
  assert.throws(() => trainingSettings({ lr: -1 }), /^lr is -1; give a number from 0 up$/);
  assert.throws(() => trainingSettings({ batch: 1.5 }), /^batch is 1.5; give a whole number from 1 up$/);
  assert.throws(() => trainingSettings({ stage: 4 }), /^stage is 4; give 1 or 2 or 3$/);
  assert.throws(() => trainingSettings({ conditional: 0.2 }), /add up to 1/);
  assert.throws(() => trainingSettings({ speed: 1 } as object), /^there is no training setting speed/);
  assert.throws(() => trainingSettings({ mask_mean: 0.5, stage: 1 }), /mask_least is 0.7, over mask_mean/);
});

test('the learning rate rises, then stays or falls as a cosine', () => {
  const rate = (n: number, schedule: string) =>
    learningRate(trainingSettings({ lr: 1, warmup: 4, steps: 24, schedule }), n);
  assert.equal(
    [0, 1, 3, 4, 23].map((n) => rate(n, 'constant')),
    [0.25, 0.5, 1, 1, 1],
  );
  assert.equal(
    [3, 4, 14, 24].map((n) => Math.round(1e6 * rate(n, 'cosine')) / 1e6),
    [1, 1, 0.5, 0],
  );
});

test.run();
