import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { timeEmbedding } from '../../shaders/time_embedding.ts';
import { bf16, numbers, run, shapeError, tensor } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  for (const half of [2, 6, 128]) {
    test(`${type}, ${half} frequencies`, async () => {
      const times = [0, 1, 500, 999, 1000],
        frequency = Float32Array.from({ length: half }, (_, k) => Math.exp((-Math.log(10000) * k) / half));
      const got = await run((p) =>
        timeEmbedding(p, tensor('u32', [times.length], times), tensor('f32', [half], frequency), type),
      );
      times.forEach((t, r) => {
        for (let e = 0; e < 2 * half; e++) {
          const angle = t * frequency[e % half],
            want = e < half ? Math.cos(angle) : Math.sin(angle),
            y = got[r * 2 * half + e];
          // An f32 angle of t is off by up to half its spacing, 3e-5 at 1000.
          assert.ok(
            Math.abs(y - want) <= 3.1e-8 * t + 2e-7 + (type === 'bf16' ? 2 ** -9 : 0),
            `t ${t}, element ${e}: ${y}, want ${want}`,
          );
          if (type === 'bf16') assert.is(bf16(y), y);
        }
      });
    });
  }
}

test('no times', async () => {
  assert.is(
    (await run((p) => timeEmbedding(p, tensor('u32', [0], []), tensor('f32', [4], numbers(4)), 'f32'))).length,
    0,
  );
});

test('operands that do not fit are errors that name them', async () => {
  await shapeError(
    (p) => timeEmbedding(p, tensor('f32', [2], [0, 1]), tensor('f32', [4], numbers(4)), 'f32'),
    /time_embedding: test f32\[2\], test f32\[4\]/,
  );
  await shapeError(
    (p) => timeEmbedding(p, tensor('u32', [2], [0, 1]), tensor('f32', [3], numbers(3)), 'f32'),
    /time_embedding: test u32\[2\], test f32\[3\]/,
  );
});

test.run();
