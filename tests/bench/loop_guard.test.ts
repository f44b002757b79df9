// Loops that do not end are told with their line and never run as they are; kernels with honest loops are not touched by the guard.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { guardLoops } from '../../bench/loop_guard.ts';
import { tryShader } from '../../bench/own.ts';
import type { Sizes } from '../../bench/sizes.ts';
import { Stopwatch } from '../../bench/stopwatch.ts';
import { findTarget, sourceOf } from '../../bench/target.ts';
import { device } from '../gpu.ts';

const watch = await Stopwatch.open(device),
  target = { as: 'matmul:direct', shape: [16, 64, 64] as Sizes },
  own = sourceOf((await findTarget(device, target)).candidate, 'compiled'),
  place = own.split('\n').findIndex((line) => /v = shape\.alpha \*/.test(line));

/** The kernel with a line more, which is where its loop stands. */
const withLine = (line: string) =>
  [...own.split('\n').slice(0, place), line, ...own.split('\n').slice(place)].join('\n');

test('comments hold no loops, and all lines stay', () => {
  const code = '// loop {\n/* for ( /* while */ { */ fn f() -> u32 {\n  loop { return 1u; }\n}\nfn main() {}\n',
    guarded = guardLoops(code, 100);
  assert.equal(guarded.match(/loop_guard_tell\(loop/g)?.length, 1);
  assert.match(guarded.split('\n')[2], /loop_guard_tell\(\w+, 3u\); return u32\(\);/);
  assert.ok(guarded.startsWith('// loop {\n/* for ( /* while */ { */ fn f()'));
});

const endless = {
  'a loop': 'loop { if (shape.rows == 0u) { break; } y[0] += vec2<u32>(1u); }',
  'a switch within one':
    'loop { switch (shape.rows) { case 0u: { break; } default: { y[0] += vec2<u32>(1u); } } if (shape.rows == 0u) { break; } }',
  'a loop around an honest one':
    'for (var i = 0u; shape.rows > 0u; i += 2u) { for (var n = 0u; n < 200u; n++) { y[0] += vec2<u32>(n); } }',
  continuing: 'loop { y[0] += vec2<u32>(1u); continuing { break if shape.rows == 0u; } }',
};
for (const [what, line] of Object.entries(endless))
  test(`without an end: ${what}`, async () => {
    const { errors, endless, rows } = await tryShader(watch, withLine(line), target);
    assert.equal(errors, []);
    assert.is(endless?.line, place + 1);
    assert.equal(rows, []);
  });

test('the kernel itself is right, on the same device', async () => {
  const verdict = await tryShader(watch, own, target);
  assert.is(verdict.endless, undefined);
  assert.ok(verdict.correct);
});

test.run();
