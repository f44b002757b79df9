// biome-ignore-all lint/suspicious/noTemplateCurlyInString: constants of shaders are written so
// What `mmar bench` measures on this adapter: a kernel that does more work is told from one that does not, and two runs of the
// same are not told apart; every variant of the recorded shapes gives the plain kernel's result; a wrong shader is told.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareReports } from '../../bench/compare.ts';
import { measureShape } from '../../bench/kernels.ts';
import { tryShader } from '../../bench/own.ts';
import { matmulShape } from '../../bench/shapes.ts';
import type { Sizes } from '../../bench/sizes.ts';
import { findTarget, sourceOf } from '../../bench/target.ts';
import { device } from '../gpu.ts';
import { planted } from './planted.ts';

const { watch, yardstick, run } = await planted(device);

/** Up to three tries: what runs on a shared machine's other half may slow a run by half, whatever it is related to. */
async function undisturbed(work: () => Promise<void>, tries = 3): Promise<void> {
  for (; tries > 1; tries--) {
    try {
      return await work();
    } catch {}
  }
  await work();
}

test('a kernel that does 1.5 times the work is slower beyond the noise, or the noise says why not', () =>
  undisturbed(async () => {
    const before = await run(1),
      [change] = compareReports(before, await run(1.5)).changes;
    assert.ok(change.ratio > 1.15, `ratio ${change.ratio}`);
    assert.ok(change.verdict === 'worse' || change.noise > change.ratio, JSON.stringify(change));
  }));

test('five runs of the same are not called different', () =>
  undisturbed(async () => {
    const before = await run(1);
    for (let i = 0; i < 5; i++) {
      const [change] = compareReports(before, await run(1)).changes;
      assert.is(change.verdict, 'same', JSON.stringify(change));
    }
  }));

test('every variant of a matrix product agrees with the plain one', async () => {
  const shape = await matmulShape(device, [40, 96, 200]),
    rows = await measureShape(watch, shape, { yardstick, samples: 2, budget_ms: 1 });
  assert.is(rows.length, shape.candidates.length);
  for (const { variant, agrees, ms } of rows) {
    assert.ok(agrees !== false, variant);
    assert.ok(ms > 0);
  }
});

test('a shader in a kernel’s place is right, wrong, or refused at its line', async () => {
  const target = { as: 'matmul:direct', shape: [24, 64, 128] as Sizes };
  const own = sourceOf((await findTarget(device, target)).candidate, 'compiled');
  const right = await tryShader(watch, own, target);
  assert.is(right.correct, true);
  assert.is(right.difference, 0);
  assert.equal(
    right.rows.map(({ variant }) => variant),
    ['direct', 'yours'],
  );
  const changed = own.replace('v = shape.alpha *', 'v = 1.2 * shape.alpha *');
  assert.is.not(changed, own);
  assert.is((await tryShader(watch, changed, target)).correct, false);
  // A row that is not written is wrong too.
  const unwritten = own.replace('row < end_row;', 'row + 1u < end_row;');
  assert.is.not(unwritten, own);
  assert.is((await tryShader(watch, unwritten, target)).correct, false);
  const lines = own.split('\n');
  lines.splice(30, 0, 'let broken = ;');
  const { errors } = await tryShader(watch, lines.join('\n'), target);
  assert.is(errors[0].line, 31);
});

test('a shader as it is written is expanded with the kernel’s constants, and its faults stand at the lines typed', async () => {
  const target = { as: 'matmul:tiled', shape: [24, 64, 128] as Sizes };
  const { candidate } = await findTarget(device, target);
  const own = sourceOf(candidate, 'written');
  assert.match(own, /^\/\/ workgroups .*\n\/\/ constants: .*\n.*#include "lib\/.*#if /s);
  assert.ok(own.endsWith(candidate.source.text));
  assert.is((await tryShader(watch, own, target)).difference, 0);
  const lines = own.split('\n');
  const faultsWith = async (line: string, at: number) =>
    (await tryShader(watch, lines.toSpliced(at - 1, 0, line).join('\n'), target)).errors;
  const body = lines.findIndex((line) => line.startsWith('fn main')) + 3;
  assert.is((await faultsWith('  let broken = ;', body))[0].line, body);
  assert.equal(await faultsWith('  let lost = ${lost};', body), [
    { line: body, message: 'the constant lost is not given' },
  ]);
  assert.equal(await faultsWith('#if ${lost}', body), [{ line: body, message: '#if without #endif' }]);
  assert.match((await faultsWith('#include "lib/lost.wgsl"', 3))[0].message, /there is no lib\/lost\.wgsl/);
});

test.run();
