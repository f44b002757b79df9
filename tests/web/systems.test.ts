// The page with the paper's other systems: their own settings, a drawing step by step, what lies inside, an answer.
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { mmar, newFolder } from '../cli/mmar.ts';
import { inBrowsers } from './harness.ts';

/** The carried checkpoint's sizes, few layers, and what makes it another system. */
const config = JSON.parse(fs.readFileSync('checkpoints/emoji/config.json', 'utf8'));
const small = {
  ...config,
  image_tokenizer: { ...config.image_tokenizer, ch: 8, ch_mult: [1, 1, 1, 2] },
  llm: { ...config.llm, num_hidden_layers: 1 },
};
const { diffusion, embedding_vit, ...shared } = small;
const { scaling_factor, ...autoencoder } = small.image_tokenizer;
const systems = {
  vq: {
    config: {
      ...shared,
      variant: 'vq',
      image_tokenizer: { ...autoencoder, type: 'vq', codebook_size: 64 },
      embedding_vit: { ...embedding_vit, depth: 1 },
    },
    fields: ['cfg', 'temperature', 'iterations', 'cfg_schedule'],
    steps: 5,
    part: /image head/i,
  },
  transfusion: {
    config: { ...shared, variant: 'transfusion', diffusion: { prediction: 'epsilon', timesteps: 1000 } },
    fields: ['cfg', 'temperature', 'steps', 'eta'],
    steps: 4,
    part: /sampler/i,
  },
};

async function checkpoint(name: keyof typeof systems): Promise<string[]> {
  const folder = newFolder();
  fs.writeFileSync(path.join(folder, 'config.json'), JSON.stringify(systems[name].config));
  const made = path.join(folder, name);
  const { code, stderr } = await mmar(['init', made, '--config', path.join(folder, 'config.json'), '--seed', '1']);
  assert.is(code, 0, stderr);
  return fs.readdirSync(made).map((file) => path.join(made, file));
}

await inBrowsers('systems', (test) => {
  for (const [name, { fields, steps, part }] of Object.entries(systems))
    test(`${name}: draws, shows what is inside, and reads`, async (page) => {
      const files = await checkpoint(name as keyof typeof systems);
      await page.open('#prompt=red+apple&seed=1&iterations=5&steps=4');
      await page.page.evaluate(() => ((document.getElementById('model') as HTMLDetailsElement).open = true));
      await page.page.evaluate(() => (document.querySelector('[name=from][value=local]') as HTMLElement).click());
      await page.choose('#model-files', ...files);
      await page.press('Load');
      await page.says('model-state', /ready/);
      const shown = await page.page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>('#drawing-settings .field:not([hidden]) > :last-child')]
          .map(({ id }) => id)
          .filter((id) => id && id !== 'count'),
      );
      assert.equal(shown, fields);
      await page.draw();
      assert.is(await page.page.evaluate(() => document.querySelectorAll('#steps-strip li').length), steps);
      assert.match(await page.text('times'), part);
      await page.press('Read this picture');
      await page.press('Ask');
      await page.says('read-status', /tokens in/);
      assert.equal(page.errors, []);
    });
});
