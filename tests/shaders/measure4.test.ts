import { device, run, tensor } from '../gpu.ts';
void device;
import { linear } from './probe.ts';
import probe_wgsl from './probe.wgsl';
const N = 1 << 16;
const x = linear(0, 9, N);
const h = (g: Float32Array) => { let x = 2166136261; for (const b of new Uint32Array(g.buffer)) x = Math.imul(x ^ b, 16777619) >>> 0; return x; };
const poly = `var p = 0.17087277;
  p = p * t - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;`;
const last = 'p = p * t - 1.26551223;';
const t = 'let z = x; let t = 1.0 / (1.0 + 0.5 * z);';
for (const body of [`${t} return t;`, `${t} ${poly} return p;`, `${t} ${poly} ${last} return p;`, `${t} ${poly} ${last} return p - z * z;`, `${t} ${poly} ${last} return exp_(p - z * z);`, `${t} ${poly} ${last} return t * exp_(p - z * z);`, `${t} return exp_(-z * z);`, `${t} return t * exp_(-z * z);`, `${t} return t * exp_(-z);`, `${t} return t * (z * 0.1) * z;`, `${t} return p1(z) * z;`]) {
  const src = (c: Record<string, unknown>) => probe_wgsl(c).replace('@compute', `fn p1(x: f32) -> f32 { return x / (x + 2.0); }\nfn g(x: f32) -> f32 { ${body} }\n@compute`);
  const got = await run((p) => {
    const y = p.tensor('y', 'f32', [1, N]); const a = tensor('f32', [1, N], x);
    p.dispatch({ name: 'g', source: src, constants: { f: 'vec4<f32>(g(v.x), g(v.y), g(v.z), g(v.w))' }, read: [a, a], write: [y], uniforms: [], workgroups: [N / 256] });
    return y;
  });
  console.log('F', h(got), body.replace(poly, 'POLY'));
}
console.log('Total: 1\nPassed: 0');
