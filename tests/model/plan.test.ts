// What a model will take, before anything is loaded: guidance has keys and values of its own; what does not fit is refused.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import { readConfig } from '../../model/mmar.ts';
import { checkPlan, planMemory } from '../../model/plan.ts';
import { nodePlatform } from '../../platform/node.ts';

const checkpoint = await openCheckpoint(nodePlatform.source('tests/golden/plain'));
const config = await readConfig(checkpoint);
const plan = (settings: object) => planMemory(checkpoint, config, { settings });

test('guidance takes twice the keys and values; a longer text takes more', async () => {
  const [alone, guided] = [await plan({ cfg: 1 }), await plan({ cfg: 2 })];
  assert.ok(alone.drawing.caches > 0);
  assert.is(guided.drawing.caches, 2 * alone.drawing.caches);
  assert.ok(guided.both.caches > guided.drawing.caches, 'reading has some of its own');
  const long = await planMemory(checkpoint, config, { settings: { cfg: 1 }, textTokens: 1000 });
  assert.ok(long.drawing.caches > alone.drawing.caches);
});

test('what fits to the byte is taken, one byte less is refused with the numbers', async () => {
  const needs = await plan({ cfg: 2 });
  const whole = needs.drawingPeak + 256 * 2 ** 20; // and what the host needs while it loads
  checkPlan(needs, 'a model', whole);
  assert.throws(() => checkPlan(needs, 'a model', whole - 1), /^a model needs .* on the device .* are free; choose/);
});

test.run();
