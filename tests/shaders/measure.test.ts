import { device } from '../gpu.ts';
void device;
import { each, linear, logarithmic, probe, random_floats } from './probe.ts';
import { erfc, gelu, silu } from '../reference.ts';
const rel = (got: Float32Array, x: Float32Array, f: (x: number) => number, show = '') => {
  let r = 0, a = 0, at = 0;
  for (let i = 0; i < x.length; i++) { const w = f(x[i]); const e = Math.abs(got[i] - w) / Math.abs(w); if (w !== 0 && e > r) { r = e; at = x[i]; } a = Math.max(a, Math.abs(got[i] - w)); }
  console.log(show, 'rel', r, 'at', at, 'abs', a);
};
const N = 1 << 18;
let x = linear(-87.3, 88.7, N); rel(await probe(each('exp_'), x), x, Math.exp, 'exp');
x = linear(-1, 1, N); rel(await probe(each('exp_'), x), x, Math.exp, 'exp near 0');
x = logarithmic(1.2e-38, 3.4e38, N); { const g = await probe(each('log_'), x); let m = 0; for (let i = 0; i < N; i++) m = Math.max(m, Math.abs(g[i] - Math.log(x[i])) / Math.max(1, Math.abs(Math.log(x[i])))); console.log('log', m); }
x = linear(0.5, 2, N); { const g = await probe(each('log_'), x); let m = 0, r = 0; for (let i = 0; i < N; i++) { m = Math.max(m, Math.abs(g[i] - Math.log(x[i])) / Math.max(1, Math.abs(Math.log(x[i])))); if (x[i] !== 1) r = Math.max(r, Math.abs(g[i] / Math.log(x[i]) - 1)); } console.log('log near 1', m, 'rel', r); }
for (const top of [1, 10, 256, 1000, 4096, 32768, 131072, 1e6]) {
  x = linear(-top, top, N); const s = await probe(each('sin_cos_').replace(/\(v\.(.)\)/g, '(v.$1).x'), x), c = await probe(each('sin_cos_').replace(/\(v\.(.)\)/g, '(v.$1).y'), x);
  rel(s, x, Math.sin, `sin ${top}`); rel(c, x, Math.cos, `cos ${top}`);
}
x = linear(-9, 9, N); rel(await probe(each('erfc_'), x), x, erfc, 'erfc');
x = linear(-9, 0, N); rel(await probe(each('erfc_'), x), x, erfc, 'erfc -');
x = linear(0, 1, N); rel(await probe(each('erfc_'), x), x, erfc, 'erfc 0-1');
x = linear(1, 3, N); rel(await probe(each('erfc_'), x), x, erfc, 'erfc 1-3');
x = linear(3, 9, N); rel(await probe(each('erfc_'), x), x, erfc, 'erfc 3-9');
for (const [a, b] of [[-12, -5], [-5, -1], [-1, 0], [0, 1], [1, 12], [-40, 40]]) { x = linear(a, b, N); rel(await probe('gelu(v)', x), x, gelu, `gelu ${a} ${b}`); }
for (const [a, b] of [[-87, -20], [-20, -1], [-1, 0], [0, 1], [1, 88], [-200, 200]]) { x = linear(a, b, N); rel(await probe('silu(v)', x), x, silu, `silu ${a} ${b}`); }
const sub = (v: number) => v !== 0 && Math.abs(v) < 2 ** -126;
const u = random_floats(N, -60, 60, 1), v = random_floats(N, -60, 60, 7);
const cmp = (name: string, g: Float32Array, f: (i: number) => number) => { let bad = 0, first = ''; for (let i = 0; i < N; i++) if (!Object.is(g[i], Math.fround(f(i)))) { bad++; first ||= `${u[i]} ${v[i]} got ${g[i]} want ${Math.fround(f(i))}`; } console.log(name, bad, first); };
cmp('mul', await probe('v * w', u, v), (i) => u[i] * v[i]);
cmp('add', await probe('v + w', u, v), (i) => u[i] + v[i]);
cmp('div', await probe('v / w', u, v), (i) => u[i] / v[i]);
const au = u.map(Math.abs);
cmp('sqrt', await probe('sqrt(v)', au), (i) => Math.sqrt(au[i]));
cmp('rsqrt', await probe('1.0 / sqrt(v)', au), (i) => 1 / Math.fround(Math.sqrt(au[i])));
const p4 = (i: number) => u[(i & ~3) + 3 - (i & 3)];
const su = random_floats(N, -2, 2, 1), sv = random_floats(N, -2, 2, 7);
const g = await probe('v * w + v.wzyx', su, sv); let bad = 0; for (let i = 0; i < N; i++) if (g[i] !== Math.fround(Math.fround(su[i] * sv[i]) + su[(i & ~3) + 3 - (i & 3)])) bad++; console.log('mad', bad);
const g2 = await probe('v * w + v * v.wzyx', su, sv); bad = 0; for (let i = 0; i < N; i++) if (g2[i] !== Math.fround(Math.fround(su[i] * sv[i]) + Math.fround(su[i] * su[(i & ~3) + 3 - (i & 3)]))) bad++; console.log('distributive', bad);
const g3 = await probe('(v + w) - v', su, sv); bad = 0; for (let i = 0; i < N; i++) if (g3[i] !== Math.fround(Math.fround(su[i] + sv[i]) - su[i])) bad++; console.log('(v+w)-v', bad);
const du = random_floats(N, -149, -120, 3), dv = random_floats(N, -3, 0, 5);
const g4 = await probe('v * w', du, dv); bad = 0; let sb = 0; for (let i = 0; i < N; i++) { const w = Math.fround(du[i] * dv[i]); if (!Object.is(g4[i], w)) { if (sub(w) || sub(du[i])) sb++; else bad++; } } console.log('denormal mul: normal bad', bad, 'denormal', sb);
const g5 = await probe('v', du); bad = 0; for (let i = 0; i < N; i++) if (!Object.is(g5[i], du[i])) bad++; console.log('denormal copy', bad);
void p4;
console.log('Total: 1\nPassed: 0');
