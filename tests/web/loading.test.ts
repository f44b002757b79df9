// Loading over HTTP: kept from visit to visit, resumed in the middle, mended after a break, without ranges, from files.
import fs from 'node:fs';
import * as assert from 'uvu/assert';
import { inBrowsers, type TestPage } from './harness.ts';

const weights = fs.statSync('checkpoints/emoji/model.safetensors').size;

/** The picture that a page draws with what it loaded, in the fewest steps: every weight has a part in it. */
async function drawn(page: TestPage): Promise<Uint8Array> {
  await page.fill('Iterations', 1);
  await page.fill('Steps', '2');
  await page.draw();
  return page.savePNG();
}

await inBrowsers('loading', (test) => {
  let sound: Uint8Array | undefined;
  /** However the weights came: they are the weights. */
  const drawsAsEver = async (page: TestPage) => {
    const picture = await drawn(page);
    sound ??= picture;
    assert.ok(picture.length > 1000 && Buffer.from(picture).equals(sound), 'another picture: other weights');
  };

  test('whole, from a server that does as it should', async (page) => {
    await page.open();
    await page.load();
    await page.says('model-state', /ready/);
    assert.is(page.server.sent, weights);
    await drawsAsEver(page);
    assert.equal(page.errors, []);
  });

  test('goes on after a reload in the middle, then needs no network for the weights', async (page) => {
    page.server.manners = { rate: 1e6 };
    await page.open();
    await page.load();
    await page.says('load-text', /Downloading: (8|9|1\d)\.\d MB of 19\.9 MB, .* a second, .* left/);
    await page.page.reload();
    const before = page.server.sent;
    page.server.manners = {};
    await page.load();
    await page.says('model-state', /ready/);
    const second = page.server.sent - before;
    assert.ok(second < weights - 4e6, `${second} of ${weights} bytes came again`);
    await drawsAsEver(page);

    await page.page.reload();
    const third = page.server.sent;
    await page.load();
    await page.says('model-state', /ready/);
    assert.ok(page.server.sent - third < 100, `${page.server.sent - third} bytes came though all are kept`);
    await page.says('kept-list', /checkpoints\/emoji · 20\.0 MB/);

    page.server.manners = { tag: '"2"' }; // another version on the server: nothing of the old one may be used
    const fourth = page.server.sent;
    await page.page.reload();
    await page.load();
    await page.says('model-state', /ready/);
    assert.ok(page.server.sent - fourth >= weights);

    await page.press(`Delete ${page.server.url}checkpoints/emoji`);
    await page.page.waitForSelector('#kept', { hidden: true });
    assert.equal(page.errors, []);
  });

  test('mends a download that breaks, says so when it cannot, and goes on when asked', async (page) => {
    page.server.manners = { breaks: 2 };
    await page.open();
    await page.load();
    await page.says('model-state', /ready/);
    await page.press(`Delete ${page.server.url}checkpoints/emoji`);
    await page.page.waitForSelector('#kept', { hidden: true });

    page.server.manners = { breaks: 1000 };
    await page.load();
    await page.says('notices', /model\.safetensors (broke off after \d+ of \d+ bytes|cannot be reached)/);
    await page.says('model-state', /not loaded/);
    page.server.manners = {};
    await page.press('Try again');
    await page.says('model-state', /ready/);
    await drawsAsEver(page);
    assert.equal(page.errors, []);
  });

  test('takes a server without ranges once, and keeps what came', async (page) => {
    page.server.manners = { noRanges: true };
    await page.open();
    await page.load();
    await page.says('model-state', /ready/);
    assert.is(page.server.sent, weights);
    await page.says('kept-list', /20\.0 MB/);
    await drawsAsEver(page);
    assert.equal(page.errors, []);
  });

  test('cancels a load', async (page) => {
    page.server.manners = { rate: 5e5 };
    await page.open();
    await page.load();
    await page.says('load-text', /Downloading/);
    await page.press('Cancel loading');
    await page.says('model-state', /cancelled/, 20);
    assert.is(await page.text('notices').then((text) => /broke|reached/.test(text)), false);
  });

  test('loads files of this computer, and an address that is none says so', async (page) => {
    await page.open();
    await page.page.evaluate(() => ((document.getElementById('model') as HTMLDetailsElement).open = true));
    await page.press('This computer; nothing is uploaded', 'radio');
    await page.choose(
      '#model-files',
      ...['config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'].map(
        (f) => `checkpoints/emoji/${f}`,
      ),
    );
    await page.says('picked', /5 files, 20\.0 MB/);
    await page.press('Load');
    await page.says('model-state', /ready/);
    assert.is(page.server.sent, 0);
    await drawsAsEver(page);

    await page.press('An address', 'radio');
    await page.fill('Address of the folder', `${page.server.url}checkpoints/none`);
    await page.press('Load');
    await page.says('notices', /is no checkpoint/);
    assert.equal(page.errors, []);
  });
});
