// Every library's product at each shape, in turns, so that all meet the same machine.
import { median } from '../measure.ts';
import { contestants } from './contestants.mjs';

/** Numbers as models have them, exact in bf16, so that all compute the same product. */
const numbers = (count, seed) =>
  Float32Array.from({ length: count }, (_, i) => (((i * 7919 + seed) % 255) - 127) / 128);

/** Brings a library up with a product of its own, or says why it does not. */
async function enter({ name, open }, opened, operands, folder) {
  try {
    opened[name] ??= await open(folder);
    const product = await opened[name](operands);
    return { name, product, y: await product.read(), times: [] };
  } catch (error) {
    return { name, error: String(error?.message ?? error) };
  }
}

/** Milliseconds of one of `runs` products. */
async function time({ product }, runs) {
  const start = performance.now();
  for (let i = 0; i < runs; i++) await product.run();
  await product.done();
  return (performance.now() - start) / runs;
}

/**
 * @param shapes [m, k, n] of each
 * @param folder the address of the libraries' packages
 * @param sampleMs a sample takes at least so long
 * @returns a row a shape and library: { peer, m, k, n, ms, ratio, error }; the ratio is its time over that of mmar in bf16
 */
export async function contest(shapes, { folder, samples = 5, sampleMs = 60, tell = () => {} }) {
  const opened = {},
    rows = [];
  for (const [m, k, n] of shapes) {
    tell(`${m}×${k}×${n}`);
    const operands = { m, k, n, x: numbers(m * k, 1), w: numbers(n * k, 2) },
      entered = [];
    for (const contestant of contestants) entered.push(await enter(contestant, opened, operands, folder));
    const running = entered.filter(({ product }) => product);
    for (const one of running) {
      await time(one, 1);
      one.runs = Math.min(500, Math.max(1, Math.ceil(sampleMs / (await time(one, 2)))));
    }
    for (let round = 0; round < samples; round++)
      for (const one of round % 2 ? running.toReversed() : running) one.times.push(await time(one, one.runs));
    const plain = entered.find(({ name }) => name === 'mmar f32');
    for (const { name, times, y, error } of entered) {
      const ms = times && median(times),
        wrong = y && plain.y && differs(y, plain.y, name === 'mmar bf16' ? 0.01 : 1e-4);
      rows.push({ peer: name, m, k, n, ms, error: error ?? (wrong ? 'another result' : undefined) });
    }
    for (const { product } of running) await product.release();
    const ours = rows.find((row) => row.peer === 'mmar bf16' && row.m === m && row.k === k && row.n === n).ms;
    for (const row of rows) if (row.m === m && row.k === k && row.n === n && row.ms) row.ratio = row.ms / ours;
  }
  return rows;
}

/** Whether two products are further apart than rounding takes them. */
function differs(a, b, most) {
  let error = 0,
    size = 0;
  b.forEach((value, i) => {
    error += (a[i] - value) ** 2;
    size += value ** 2;
  });
  return !(Math.sqrt(error / size) < most);
}

globalThis.contest = contest;
