import { device } from '../gpu.ts';
void device;
import { probe, random_floats } from './probe.ts';
const N = 1 << 16;
const v = random_floats(N, -4, 0, 1), w = random_floats(N, -4, 0, 7);
const h = (g: Float32Array) => { let x = 2166136261; for (const b of new Uint32Array(g.buffer)) x = Math.imul(x ^ b, 16777619) >>> 0; return x; };
for (const f of ['(v * w) * w', '(v * w) * w + w', 'w * (v * w + 1.0)', '((v * w) * w + w) + 1.0', '1.0 + w * (1.0 + w * v)', '(v * w) * 3.7 * 0.1', '(v - w * 0.693359375) + w * 2.12194440e-4', 'v * (w + 1.0)', 'v * w + v', 'floor(v * 1.44269504 + 0.5)',
 'clamp(v, vec4<f32>(-87.3), vec4<f32>(88.7)) * 1.5', 'v * w * 4.0', '1.0 - (1.0 - v)', '(1.0 + v) + 1.0', '(v * w) * (v * w)', 'w - v * (w + v)', '2.0 - (1.0 + v)', '(v / w) * w', '1.0 / (1.0 / v)', '1.0 / sqrt(abs(v))', 'v / sqrt(abs(w))', '(v - w) * (v - w)', '-(v - w)', 'v * 0.5 * w', '(v + w) + (v.yzwx + w.yzwx)', 'v * w + (v.yzwx * w + v.zwxy)', 'v * (1.0 + w) + v.yzwx', '(v * 0.3 + 0.1) * 0.7 + 0.2', 'v + 0.1 + 0.2', 'v * 0.5 * (w * 0.3)', 'v * w * v.x', 'v*w + w*v.yzwx', 'v / 3.0', 'v / w + v.yzwx / w', 'v * 2.0 - v', 'v - w * v', 'max(-2.0 * v, vec4<f32>(0.0))'])
  console.log('F', f, h(await probe(f, v, w)));
console.log('Total: 1\nPassed: 0');
import { each, linear, logarithmic } from './probe.ts';
for (const [n, f, x] of [['exp', each('exp_'), linear(-90, 90, N)], ['log', each('log_'), logarithmic(1.2e-38, 3.4e38, N)], ['sc', 'vec4<f32>(sin_cos_(v.x), sin_cos_(v.y))', linear(-1e5, 1e5, N)], ['erfc', each('erfc_'), linear(-10, 10, N)], ['gelu', 'gelu(v)', linear(-20, 20, N)], ['silu', 'silu(v)', linear(-100, 100, N)]] as const) console.log('F', n, h(await probe(f, x)));
