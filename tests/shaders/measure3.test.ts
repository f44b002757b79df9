import { device } from '../gpu.ts';
void device;
import { probe, random_floats } from './probe.ts';
const N = 1 << 14;
const v = random_floats(N, -4, 0, 1), w = random_floats(N, -4, 0, 7);
const f32 = Math.fround;
const y = (i: number) => v[(i & ~3) + ((i + 1) & 3)];
const forms: [string, (i: number) => number][] = [
  ['((v * w) * w + w) + 1.0', (i) => f32(f32(f32(f32(v[i] * w[i]) * w[i]) + w[i]) + 1)],
  ['(v * w - 1.26551223) - w * w', (i) => f32(f32(f32(v[i] * w[i]) - f32(1.26551223)) - f32(w[i] * w[i]))],
  ['(v * w - w * w) - 1.26551223', (i) => f32(f32(f32(v[i] * w[i]) - f32(w[i] * w[i])) - f32(1.26551223))],
  ['(v * w - v.yzwx * v.yzwx) - 1.26551223', (i) => f32(f32(f32(v[i] * w[i]) - f32(y(i) * y(i))) - f32(1.26551223))],
  ['v * w - (1.26551223 + v.yzwx * v.yzwx)', (i) => f32(f32(v[i] * w[i]) - f32(f32(1.26551223) + f32(y(i) * y(i))))],
  ['v * w - fma(v.yzwx, v.yzwx, vec4<f32>(1.26551223))', (i) => f32(f32(v[i] * w[i]) - f32(f32(1.26551223) + f32(y(i) * y(i))))],
  ['(v + w) + 1.1', (i) => f32(f32(v[i] + w[i]) + f32(1.1))],
  ['(v + 1.1) + w', (i) => f32(f32(v[i] + f32(1.1)) + w[i])],
  ['(v + 1.1) - w', (i) => f32(f32(v[i] + f32(1.1)) - w[i])],
  ['w - (v + 1.1)', (i) => f32(w[i] - f32(v[i] + f32(1.1)))],
  ['v * w + w', (i) => f32(f32(v[i] * w[i]) + w[i])],
  ['(v * 1.1 + w) + v.yzwx', (i) => f32(f32(f32(v[i] * f32(1.1)) + w[i]) + y(i))],
  ['v / 3.0', (i) => f32(v[i] / 3)],
  ['(v / w) * w', (i) => f32(f32(v[i] / w[i]) * w[i])],
  ['(v - w) + w', (i) => f32(f32(v[i] - w[i]) + w[i])],
  ['v * w + v * v.yzwx', (i) => f32(f32(v[i] * w[i]) + f32(v[i] * y(i)))],
  ['v * (1.0 + w)', (i) => f32(v[i] * f32(1 + w[i]))],
  ['v - w * v', (i) => f32(v[i] - f32(w[i] * v[i]))],
  ['v.yzwx * (0.5 * w) * v', (i) => f32(f32(y(i) * f32(.5 * w[i])) * v[i])],
  ['(v * 1.1) * w', (i) => f32(f32(v[i] * f32(1.1)) * w[i])],
  ['v * (1.1 * w)', (i) => f32(v[i] * f32(f32(1.1) * w[i]))],
  ['v * w * w', (i) => f32(f32(v[i] * w[i]) * w[i])],
];
for (const [f, want] of forms) { const g = await probe(f, v, w); let bad = 0; for (let i = 0; i < N; i++) if (!Object.is(g[i], want(i))) bad++; console.log('F', bad, f); }
console.log('Total: 1\nPassed: 0');
