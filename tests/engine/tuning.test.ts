// Which candidate is chosen: the forced one, the one that was measured best, the rule's; never one that failed.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { shapeClass, Tuning } from '../../engine/tuning.ts';

const source = (text: string) => ({ file: 'a.wgsl', text });
const candidates = ['rule', 'wide', 'narrow'].map((variant) => ({ variant, source: source(variant) }));
const shapes = shapeClass({ m: 100, k: 896 });
const picked = (tuning: Tuning, of = candidates, kernel = 'matmul') => of[tuning.pick(kernel, shapes, of)].variant;

test('shapes are alike whose sizes have the same power of two over them', () => {
  assert.is(shapeClass({ m: 65, x: 'bf16' }), shapeClass({ m: 128, x: 'bf16' }));
  assert.is.not(shapeClass({ m: 64 }), shapeClass({ m: 65 }));
  assert.is.not(shapeClass({ m: 64, x: 'bf16' }), shapeClass({ m: 64, x: 'f32' }));
  assert.is(shapeClass({ m: 0 }), shapeClass({ m: 1 }));
});

test('forced before measured before the rule', () => {
  const tuning = new Tuning('');
  assert.is(picked(tuning), 'rule');
  tuning.choose('matmul', shapes, candidates[2]);
  assert.is(picked(tuning), 'narrow');
  assert.is(picked(tuning, candidates, 'conv2d'), 'rule');
  assert.ok(tuning.knows('matmul', shapes, candidates));
  const forced = new Tuning('conv2d:x,matmul:wide');
  forced.choose('matmul', shapes, candidates[2]);
  assert.is(picked(forced), 'wide');
  assert.is(picked(forced, candidates.slice(2)), 'narrow', 'where it is no candidate, others are taken');
});

test('what was measured with another shader counts for nothing, and what failed is not taken until its shader changes', () => {
  const tuning = new Tuning('');
  tuning.choose('matmul', shapes, { variant: 'wide', source: source('as it was') });
  assert.is(picked(tuning), 'rule');
  assert.not(tuning.knows('matmul', shapes, candidates));
  tuning.strike('matmul', shapes, candidates[0]);
  assert.is(picked(tuning), 'wide');
  assert.is(picked(tuning, [{ variant: 'rule', source: source('mended') }, candidates[1]]), 'rule');
  tuning.pardon('matmul', shapes, candidates[0]);
  assert.is(picked(tuning), 'rule');
  for (const candidate of candidates) tuning.strike('matmul', shapes, candidate);
  assert.is(picked(tuning), 'rule', 'all failed: the rule');
});

test('what was learned survives as text', () => {
  const tuning = new Tuning('');
  tuning.choose('matmul', shapes, candidates[1]);
  tuning.strike('conv2d', shapes, candidates[0]);
  const other = new Tuning('');
  other.fromText(tuning.toText());
  assert.is(picked(other), 'wide');
  assert.is(picked(other, candidates, 'conv2d'), 'wide');
  other.clear();
  assert.is(picked(other), 'rule');
});

test('a text of another format, or a broken one, counts for nothing', () => {
  const tuning = new Tuning('');
  tuning.choose('matmul', shapes, candidates[1]);
  const text = tuning.toText();
  for (const other of [text.replace('"format": 1', '"format": 2'), text.slice(1), '', 'null', '{"format":1}']) {
    assert.not.equal(other, text);
    const read = new Tuning('');
    read.fromText(other);
    assert.is(picked(read), 'rule', other);
  }
});

test.run();
