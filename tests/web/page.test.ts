// The page by its own controls: draw, stop, save, read, the address, the keyboard.
import fs from 'node:fs';
import * as assert from 'uvu/assert';
import { decodePicture } from '../../platform/node.ts';
import { inBrowsers } from './harness.ts';

await inBrowsers('page', (test) => {
  test('draws, saves and reads a picture, and the address carries the settings', async (page) => {
    await page.open('#prompt=red+apple&seed=1&cfg=3&steps=25&iterations=8');
    await page.draw();
    const drawn = await decodePicture(await page.savePNG(), 'saved'),
      { data } = drawn;
    assert.equal([drawn.width, drawn.height], [64, 64]);
    let red = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] > 180 && data[i + 1] < 120 && data[i + 2] < 120) red++;
    assert.ok(red > 800, `an apple is red: ${red} red pixels`);
    assert.match(
      await page.page.evaluate(() => document.getElementById('stage')!.getAttribute('aria-label')!),
      /red apple.*seed 1/,
    );
    assert.is(await page.page.evaluate(() => document.querySelectorAll('#gallery img').length), 1);
    assert.is(await page.page.evaluate(() => document.querySelectorAll('#steps-strip li').length), 8);
    assert.match(await page.text('times'), /LLM/);

    await page.press('Read this picture');
    await page.press('Ask');
    await page.says('read-status', /tokens in/);
    assert.match(await page.text('answers'), /What is this\?\s*red apple/);
    await page.fill('Question', 'Which group is it in?');
    await page.press('Ask');
    await page.says('answers', /Which group is it in\?\s*food and drink/);
    assert.equal(page.errors, []);
  });

  test('stops a drawing and draws again', async (page) => {
    await page.open();
    await page.fill('Prompt', 'sunflower');
    await page.fill('Seed', 7);
    await page.fill('Steps', '200'); // far from done when Stop is pressed
    await page.fill('Iterations', 64);
    assert.is(await page.page.evaluate(() => location.hash), '#prompt=sunflower&seed=7&steps=200&iterations=64');
    await page.press('Draw');
    await page.says('draw-status', /Step \d+ of 64/);
    await page.press('Stop');
    await page.says('draw-status', /^Stopped/, 30);
    assert.is(await page.page.evaluate(() => document.querySelectorAll('#gallery img').length), 0);
    await page.fill('Steps', '10');
    await page.fill('Iterations', 3);
    await page.fill('Pictures', 2);
    await page.press('Draw');
    await page.says('draw-status', /seed 8, drawn in/);
    assert.is(await page.page.evaluate(() => document.querySelectorAll('#gallery img').length), 2);
    assert.equal(page.errors, []);
  });

  test('reads a picture that is chosen, dropped or pasted, and refuses what is none', async (page) => {
    await page.open();
    await page.press('Reading', 'tab');
    await page.choose('#picture', 'checkpoints/emoji/reference/pizza.png');
    await page.says('read-status', /pizza\.png, 64 × 64/);
    await page.press('Ask');
    await page.says('answers', /What is this\?\s*pizza/);
    await page.says('read-status', /tokens in/);
    const give = (kind: 'drop' | 'paste', bytes: number[], name: string) =>
      page.page.evaluate(
        (kind, bytes, name) => {
          const files = new DataTransfer();
          files.items.add(new File([Uint8Array.from(bytes)], name, { type: 'image/png' }));
          if (kind === 'drop')
            document.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
          else
            document.dispatchEvent(
              Object.defineProperty(new ClipboardEvent('paste', { bubbles: true }), 'clipboardData', { value: files }),
            );
        },
        kind,
        bytes,
        name,
      );
    await give('drop', [...fs.readFileSync('checkpoints/emoji/reference/rocket.png')], 'rocket.png');
    await page.says('read-status', /rocket\.png/);
    await give('paste', [...fs.readFileSync('checkpoints/emoji/reference/banana.png')], 'banana.png');
    await page.says('read-status', /banana\.png/);
    await give('drop', [1, 2, 3], 'fake.png');
    await page.says('notices', /fake\.png is no picture/);
    assert.equal(page.errors, []);
  });

  test('can be used with the keyboard alone', async (page) => {
    await page.open('#prompt=cat+face&seed=2&steps=5&iterations=2');
    await page.page.focus('#prompt');
    await page.page.keyboard.press('Enter');
    await page.says('draw-status', /drawn in/);
    await page.page.focus('#tab-draw');
    await page.page.keyboard.press('ArrowRight');
    assert.is(await page.page.evaluate(() => document.activeElement!.id), 'tab-read');
    assert.not(await page.page.evaluate(() => document.getElementById('read-panel')!.hidden));
  });
});
