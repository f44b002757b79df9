import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nearestCode } from '../../shaders/nearest_code.ts';
import { bf16, device, hardwareDevice, numbers, run, shapeError, tensor } from '../gpu.ts';

/** By a plain loop in f64; the first of those that are equally near. */
function reference(x: Float32Array, codebook: Float32Array, d: number): number[] {
  return Array.from({ length: x.length / d }, (_, r) => {
    let nearest = Infinity;
    let code = -1;
    for (let c = 0; c < codebook.length / d; c++) {
      let distance = 0;
      for (let i = 0; i < d; i++) distance += (x[r * d + i] - codebook[c * d + i]) ** 2;
      if (distance >= nearest) continue;
      nearest = distance;
      code = c;
    }
    return code;
  });
}

const hardware = await hardwareDevice();

for (const [rows, d, codes] of [
  [1, 1, 1],
  [5, 3, 7],
  [36, 8, 256],
  [70, 13, 515],
])
  for (const type of ['f32', 'bf16'] as const)
    for (const on of [device, hardware])
      test(`[${rows}, ${d}], ${codes} codes of ${type} on ${on.adapter.kind} kernels`, async () => {
        const x = numbers(rows * d, 'f32', 3);
        const codebook = numbers(codes * d, type, 4);
        const got = await run(
          (p) => nearestCode(p, tensor('f32', [rows, d], x, on), tensor(type, [codes, d], codebook, on)),
          on,
        );
        assert.equal([...got], reference(x, codebook, d));
      });

test('rows that are equally near: the lowest', async () => {
  // Row 0 lies in the middle of codes 40 and 9, row 1 on 300 and 77, which are alike, as are 5 and 261.
  const codebook = new Float32Array(301 * 2).fill(50);
  codebook.set([1, 0], 2 * 40);
  codebook.set([-1, 0], 2 * 9);
  codebook.set([7, bf16(0.1)], 2 * 300);
  codebook.set([7, bf16(0.1)], 2 * 77);
  codebook.set([-3, 4], 2 * 5);
  codebook.set([-3, 4], 2 * (5 + 256)); // of the same invocation
  for (const type of ['f32', 'bf16'] as const)
    for (const on of [device, hardware]) {
      const got = await run(
        (p) => nearestCode(p, tensor('f32', [3, 2], [0, 0, 7, 0.11, -3, 4], on), tensor(type, [301, 2], codebook, on)),
        on,
      );
      assert.equal([...got], [9, 77, 5]);
    }
});

test('shapes that do not fit are an error', async () => {
  const x = tensor('f32', [2, 3], []);
  await shapeError((p) => nearestCode(p, x, tensor('f32', [5, 4], [])), /nearest_code: .*\[2,3\].*\[5,4\]/);
  await shapeError((p) => nearestCode(p, tensor('bf16', [2, 4], []), tensor('f32', [5, 4], [])), /nearest_code/);
});

test.run();
