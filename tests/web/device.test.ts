// What the page does about its device: too small for a model, lost, not there at all.
import fs from 'node:fs';
import * as assert from 'uvu/assert';
import type { WorkerEngine } from '../../web/client.ts';
import { inBrowsers } from './harness.ts';

await inBrowsers('device', (test) => {
  test('refuses a model that is too large for the adapter', async (page) => {
    const config = JSON.parse(fs.readFileSync('checkpoints/emoji/config.json', 'utf8'));
    config.llm.hidden_size = 2 ** 30;
    config.llm.num_attention_heads = 8;
    page.server.manners = { instead: { 'config.json': JSON.stringify(config) } };
    await page.open();
    await page.load();
    await page.says('notices', /a row takes 2147483648 bytes, the adapter binds \d+ at once; use another adapter/);
    await page.says('model-state', /not loaded/);
    page.server.manners = {};
    await page.load();
    await page.says('model-state', /ready/);
    assert.equal(page.errors, []);
  });

  test('recovers when the device is lost, idle or in the middle of a drawing', async (page) => {
    await page.open('#prompt=pizza&seed=1&steps=10&iterations=16');
    const lose = () =>
      page.page.evaluate(() => (globalThis as unknown as { mmar: { engine: WorkerEngine } }).mmar.engine.loseDevice());
    await page.press('Draw');
    await page.says('draw-status', /Step [2-9] of 16/);
    await lose();
    await page.says('draw-status', /did not work/);
    await page.says('notices', /device was lost/);
    await page.says('notices', /model is loaded again/i);
    await page.fill('Iterations', 2);
    await page.draw();

    await lose(); // again, within a minute: now it asks
    await page.says('notices', /device was lost.*again/);
    await page.press('Load the model again');
    await page.says('notices', /model is loaded again/i);
    await page.draw();
    assert.equal(page.errors, []);
  });

  test('says what to do where there is no WebGPU', async (page) => {
    await page.page.evaluateOnNewDocument(() =>
      Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined }),
    );
    await page.open();
    await page.says('notices', /no WebGPU.*Use a current/);
  });
});
