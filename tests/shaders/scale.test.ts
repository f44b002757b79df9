import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scale } from '../../shaders/scale.ts';
import { bf16, device, numbers, raw, run, tensor, unpad } from '../gpu.ts';

for (const type of ['bf16', 'f32'] as const) {
  test(`${type}: each element times the factor, rounded once`, async () => {
    const round = type === 'bf16' ? bf16 : Math.fround,
      factor = Math.fround(1 / 0.2325);
    for (const [rows, cols] of [
      [0, 3],
      [1, 1],
      [3, 7],
      [64, 16],
    ]) {
      const x = numbers(rows * cols, type),
        got = await run((p) => raw(scale(p, tensor(type, [rows, cols], x), factor)));
      assert.equal(
        [...unpad(got, cols)],
        [...x].map((v) => round(Math.fround(v * factor))),
      );
    }
  });
}

test('more workgroups than a dimension takes', async () => {
  const rows = 65_536 * 64 + 41; // a quad a row, 64 quads a workgroup or, on wide vectors, more
  const y = await device.evaluate('long', (p) => {
    const x = p.tensor('x', 'bf16', [rows, 4]);
    p.operation({
      name: 'rows',
      source: rowNumbers,
      constants: {},
      read: [],
      write: [x],
      uniforms: [rows],
      workgroups: [1024, 64],
    });
    return { y: scale(p, x, 2) };
  });
  const wrong = y.y.findIndex((v, i) => v !== 2 * (Math.floor(i / 4) % 251));
  assert.is(wrong, -1, `value ${wrong} is ${y.y[wrong]}`);
});

/** x[r] = r mod 251, four times. */
const rowNumbers = {
  file: 'row_numbers.wgsl',
  text: `
@group(0) @binding(0) var<storage, read_write> x: array<vec2<u32>>;
@group(0) @binding(1) var<uniform> rows: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var r = id.y * groups.x * 64u + id.x; r < rows; r += groups.x * groups.y * 64u) {
    let upper = bitcast<u32>(f32(r % 251u)) >> 16u;
    x[r] = vec2<u32>(upper | (upper << 16u));
  }
}`,
};

test.run();
