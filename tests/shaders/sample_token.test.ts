import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { advance } from '../../shaders/advance.ts';
import { philox, seedWords, textStream } from '../../shaders/random.ts';
import { sampleToken, type TokenSampling } from '../../shaders/sample_token.ts';
import { device, hardwareDevice, numbers, run, shapeError, tensor } from '../gpu.ts';

const unset = 99999,
  hardware = await hardwareDevice();
const settings = ({ temperature, top_p }: TokenSampling, on = device) => tensor('f32', [2], [temperature, top_p], on);

/** The token drawn for branch 1 of 2 at position 3; checks that nothing else is written. */
async function draw(
  logits: ArrayLike<number>,
  sampling: TokenSampling,
  seed = 1,
  vocab = logits.length,
  on = device,
): Promise<number> {
  const ids = tensor('u32', [2, 6], Array(12).fill(unset), on),
    seq = { branches: 1, first: 1, capacity: 6, ids, position: tensor('u32', [2], [1, 3], on) };
  await run((p) => {
    const x = tensor('f32', [1, logits.length], logits, on);
    sampleToken(p, x, tensor('u32', [2], seedWords(seed), on), seq, vocab, settings(sampling, on));
  }, on);
  const written = await on.read(ids);
  for (const [i, id] of written.entries()) assert.is(id === unset, i !== 6 + 3, `ids[${i}] is ${id}`);
  return written[6 + 3];
}

/** How often each token is drawn at `draws` positions in a row, for one of several seeds each. */
async function frequencies(logits: number[], sampling: TokenSampling, draws: number): Promise<number[]> {
  const ids = tensor('u32', [1, draws], []),
    position = tensor('u32', [1], [0]),
    seed = tensor('u32', [2], [0, 0]),
    sampled = settings(sampling);
  const program = await device.record('draws', (p) => {
    for (let i = 0; i < 50; i++) {
      sampleToken(
        p,
        tensor('f32', [1, logits.length], logits),
        seed,
        { branches: 1, capacity: draws, ids, position },
        logits.length,
        sampled,
      );
      advance(p, position, 1);
      advance(p, seed, 1);
    }
  });
  for (let i = 0; i < draws / 50; i++) await device.queue.run(program);
  const counts = logits.map(() => 0);
  for (const id of await device.read(ids)) counts[id]++;
  return counts;
}

const argmax = { temperature: 0, top_p: 1 };

test('the likeliest token, ties to the lowest id', async () => {
  for (const vocab of [1, 2, 127, 128, 129, 515, 5000]) {
    const logits = numbers(vocab);
    assert.is(await draw(logits, argmax), logits.indexOf(Math.max(...logits)), `vocab ${vocab}`);
    assert.is(await draw(new Float32Array(vocab), argmax), 0, `vocab ${vocab}, all alike`);
    const [low, high] = [Math.floor(vocab / 3), vocab - 1];
    logits[low] = logits[high] = 5;
    assert.is(await draw(logits, argmax), low, `vocab ${vocab}, a tie of ${low} and ${high}`);
    logits[low] = 0;
    assert.is(await draw(logits, argmax), high);
  }
});

test('in a nucleus, the unlikely between the likely are never drawn', async () => {
  const logits = Array.from({ length: 515 }, (_, i) => (i % 5 === 2 ? 3 : 0)); // neighbours belong to one invocation
  for (let seed = 0; seed < 60; seed++) {
    const id = await draw(logits, { temperature: 1, top_p: 0.5 }, seed);
    assert.is(id % 5, 2, `seed ${seed}: ${id}`);
  }
});

test('only the vocabulary counts, not the columns behind it', async () => {
  const logits = numbers(12).fill(9, 10);
  assert.ok((await draw(logits, argmax, 1, 10)) < 10);
  for (let seed = 0; seed < 20; seed++) assert.ok((await draw(logits, { temperature: 5, top_p: 1 }, seed, 10)) < 10);
});

test('extreme logits', async () => {
  const low = -3e38,
    high = 3e38;
  for (const sampling of [
    argmax,
    { temperature: 1, top_p: 1 },
    { temperature: 0.01, top_p: 0.5 },
    { temperature: 100, top_p: 0.9 },
  ]) {
    assert.is(await draw([low, low, high, low, low], sampling), 2);
    assert.is(await draw([low, low, low, low, 0], sampling), 4);
    assert.ok((await draw([low, high, high, low], sampling)) % 3 !== 0);
    assert.ok((await draw([low, low, low], sampling)) < 3);
    const wide = new Float32Array(5000).fill(low);
    wide[4321] = -2.9e38;
    assert.is(await draw(wide, sampling), 4321);
  }
  assert.is(await draw([low, low, low], argmax), 0);
  assert.is(await draw([-Infinity, -Infinity, 1, -Infinity], { temperature: 1, top_p: 1 }), 2);
});

test('draws follow softmax(logits / temperature)', async () => {
  const logits = [0, 1, -1, 2, 0.5, -3],
    draws = 2000;
  for (const temperature of [0.5, 1, 2]) {
    const weights = logits.map((l) => Math.exp(l / temperature)),
      total = weights.reduce((a, b) => a + b),
      counts = await frequencies(logits, { temperature, top_p: 1 }, draws);
    const chi = counts.reduce(
      (sum, n, i) => sum + (n - (draws * weights[i]) / total) ** 2 / ((draws * weights[i]) / total),
      0,
    );
    assert.ok(chi < 25, `temperature ${temperature}: χ² ${chi} over 5 degrees of freedom; ${counts}`); // p = 1.4e-4
  }
});

test('top_p keeps the likeliest tokens that reach the mass, in their proportion', async () => {
  const p = [0.1, 0.4, 0.05, 0.3, 0.15],
    logits = p.map(Math.log),
    draws = 400;
  for (const [top_p, kept] of [
    [0.39, [1]],
    [0.41, [1, 3]],
    [0.69, [1, 3]],
    [0.71, [1, 3, 4]],
    [0.9, [0, 1, 3, 4]],
    [1, [0, 1, 2, 3, 4]],
    [1e-6, [1]],
  ] as [number, number[]][]) {
    const counts = await frequencies(logits, { temperature: 1, top_p }, draws),
      mass = kept.reduce((sum, i) => sum + p[i], 0);
    counts.forEach((n, i) => {
      const want = kept.includes(i) ? p[i] / mass : 0;
      assert.ok(Math.abs(n / draws - want) <= 5 * Math.sqrt((want * (1 - want)) / draws), `top_p ${top_p}: ${counts}`);
    });
  }
});

test('a wide vocabulary is drawn from all over, and cut where it should be', async () => {
  const vocab = 5000,
    logits = new Float32Array(vocab).fill(-20);
  for (let i = 0; i < 8; i++) logits[i * 700 + 13] = 1;
  const drawn = new Set<number>();
  for (let seed = 0; seed < 50; seed++) drawn.add(await draw(logits, { temperature: 1, top_p: 0.999 }, seed));
  assert.equal(
    [...drawn].sort((a, b) => a - b),
    Array.from({ length: 8 }, (_, i) => i * 700 + 13),
  );
});

/** The token of a draw in f64, and how far the draw is from the next token's part of the mass. */
function reference(logits: ArrayLike<number>, { temperature, top_p }: TokenSampling, seed: number) {
  const top = Math.max(...Array.from(logits)),
    weights = Array.from(logits, (l) => Math.exp((l - top) / temperature)),
    total = weights.reduce((a, b) => a + b);
  let threshold = 0,
    mass = 0;
  for (const w of [...weights].sort((a, b) => b - a)) {
    if (mass >= top_p * total && w < threshold) break; // tokens as likely as the last are kept too
    threshold = w;
    mass += w;
  }
  const kept = weights.map((w) => (w >= threshold ? w : 0)),
    [word] = philox([3, textStream, 0, 0], seedWords(seed));
  let left = ((word >>> 8) / 2 ** 24) * mass,
    token = 0;
  while (left >= kept[token]) left -= kept[token++];
  return { token, margin: Math.min(left, kept[token] - left) / mass };
}

test('draws are those of the f64 reference, with ties at the end of the nucleus, in any part of a vocabulary', async () => {
  for (const [vocab, spread, ties] of [
    [10_007, 6, 0],
    [4096, 3, 7],
    [9000, 0.01, 0],
    [1500, 9, 40],
  ]) {
    const logits = numbers(vocab, 'f32', vocab).map((v) => v * spread);
    for (let i = 0; i < ties; i++) logits[(i * 997 + 5) % vocab] = spread * 0.95;
    for (const sampling of [
      { temperature: 0.7, top_p: 0.8 },
      { temperature: 1.3, top_p: 0.31 },
      { temperature: 1, top_p: 1 },
    ]) {
      let compared = 0;
      for (let seed = 0; seed < 8; seed++) {
        const { token, margin } = reference(logits, sampling, seed);
        if (margin < 1e-5) continue;
        compared++;
        const drawn = await draw(logits, sampling, seed, vocab, seed % 2 ? hardware : device);
        assert.is(drawn, token, `${vocab} tokens, ${JSON.stringify(sampling)}, seed ${seed}`);
      }
      assert.ok(compared >= 4, `${compared} compared`);
    }
  }
});

test('the same seed draws the same, others differ', async () => {
  const logits = new Float32Array(515),
    sampling = { temperature: 1, top_p: 1 };
  const draws = await Promise.all([1, 1, 2, 1 + 2 ** 32].map((seed) => draw(logits, sampling, seed)));
  assert.is(draws[0], draws[1]);
  assert.is(new Set(draws).size, 3, `${draws}`);
});

test('operands that do not fit are errors that name them', async () => {
  const seq = { branches: 1, capacity: 4, ids: tensor('u32', [1, 4], []), position: tensor('u32', [1], [0]) },
    seed = tensor('u32', [2], [0, 0]);
  await shapeError(
    (p) => sampleToken(p, tensor('bf16', [1, 8], []), seed, seq, 8, settings(argmax)),
    /sample_token: test bf16\[1,8\]/,
  );
  await shapeError(
    (p) => sampleToken(p, tensor('f32', [2, 8], []), seed, seq, 8, settings(argmax)),
    /sample_token: test f32\[2,8\]/,
  );
  await shapeError(
    (p) => sampleToken(p, tensor('f32', [1, 8], []), seed, seq, 9, settings(argmax)),
    /sample_token: test f32\[1,8\], test f32\[2\]; want logits f32 \[1, 9 or more\]/,
  );
  await shapeError(
    (p) => sampleToken(p, tensor('f32', [1, 8], []), seed, seq, 0, settings(argmax)),
    /sample_token: test f32\[1,8\]/,
  );
});

test.run();
