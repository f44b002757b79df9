// Time from the click on "Draw" to the first picture, as it stands on the page: with nothing kept, and with the model kept.
import fs from 'node:fs';
import * as assert from 'uvu/assert';
import { inBrowsers } from './harness.ts';

const weights = fs.statSync('checkpoints/emoji/model.safetensors').size;

await inBrowsers('first picture', (test, browser) => {
  test('comes with the model kept and not', async (page) => {
    for (const visit of ['not kept', 'kept']) {
      await page.open('#prompt=red+apple&seed=1&cfg=3&iterations=4&steps=10');
      const sent = page.server.sent,
        start = performance.now(),
        since = () => ((performance.now() - start) / 1000).toFixed(1);
      await page.press('Draw');
      await page.says('model-state', /ready/);
      const loaded = since();
      await page.says('draw-status', /Step/);
      const first = since();
      await page.says('draw-status', /drawn in/);
      const came = page.server.sent - sent;
      if (visit === 'kept') assert.ok(came < 100, `${came} bytes of weights came though all are kept`);
      else assert.ok(came >= weights, `${came} bytes of weights came, of ${weights}`);
      console.log(
        `${browser}, ${visit}: model after ${loaded} s, first tokens after ${first} s, picture after ${since()} s; ${came} bytes of weights came`,
      );
    }
    assert.equal(page.errors, []);
  });
});
