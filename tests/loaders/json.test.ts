import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseJSON } from '../../loaders/json.ts';

test('JSON as JSON.parse reads it', () => {
  for (const text of ['{"a":{"x":1},"b":{"x":2}}', '[{"a":1},{"a":2}]', '{"a":"\\"a\\":","b":"{["}', ' "\\\\" ', '1'])
    assert.equal(parseJSON(text), JSON.parse(text));
});

test('a key that an object has twice', () => {
  for (const text of [
    '{"a":1,"a":1}',
    '{"a" : 1, "\\u0061"\n: 2}',
    '[{"b":{"a":[],"c":"a","a":0}}]',
    '{"\\"":1,"\\"":2}',
  ])
    assert.throws(() => parseJSON(text), /it has the key .* twice/, text);
});

test('what nests without end, and what is none', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  assert.ok(parseJSON(nested(64)));
  assert.throws(() => parseJSON(nested(65)), /nests deeper than 64/);
  assert.throws(() => parseJSON(nested(100_000)), /nests deeper than 64/);
  assert.throws(() => parseJSON('{"a":1,}'), /JSON/);
});

test.run();
