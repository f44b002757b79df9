// Teaching in a browser: a lesson in the worker leaves the bytes that it leaves in Node on the same adapter, and the page's own
// controls teach, stop, save, load and forget.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { closeGPU, loadMMAR, openDevice } from '../../index.ts';
import { newFolder } from '../cli/mmar.ts';
import { adapterOf } from './browsers.ts';
import { inBrowsers } from './harness.ts';

const lesson = { steps: 2, batch: 2, rehearse: 0, seed: 5 };
const drawing = { prompt: 'red square', seed: 1, steps: 2, iterations: 3 };

/** A square of that colour on white. */
function square(colour: readonly number[]) {
  const data = new Uint8ClampedArray(64 * 64 * 4).fill(255);
  for (let y = 12; y < 52; y++) for (let x = 12; x < 52; x++) data.set(colour, 4 * (64 * y + x));
  return { width: 64, height: 64, data };
}

const hash = (bytes: Uint8Array | Uint8ClampedArray) => crypto.createHash('sha256').update(bytes).digest('hex');

await inBrowsers(
  'teach',
  (test, browser) => {
    test('a lesson in the worker leaves the bytes of Node', async ({ page, server }) => {
      await page.goto(server.url);
      const got = await page.evaluate(
        async (url, lesson, drawing, red, blue) => {
          const { connectWorker } = (await import(`${url}mmar.js`)) as typeof import('../../browser.ts');
          const model = await connectWorker().loadMMAR(`${url}checkpoints/emoji`, { keep: false });
          const picture = (data: number[]) => ({ width: 64, height: 64, data: Uint8ClampedArray.from(data) });
          const hash = async (bytes: Uint8Array | Uint8ClampedArray) => {
            const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
            return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
          };
          const drawn = async () => hash((await model.generate(drawing)).picture.data);
          const examples = [
            { image: picture(red), prompt: 'red square' },
            { image: picture(blue), prompt: 'blue square' },
          ];
          const before = await drawn();
          const losses: number[] = [];
          const stream = model.teachStream({ ...lesson, examples });
          let step = await stream.next();
          for (; !step.done; step = await stream.next())
            if (step.value.stage === 'learning') losses.push(step.value.loss!);
          const patch = step.value.patch;
          const after = await drawn();
          await model.forget();
          return { patch: await hash(patch), losses, before, after, forgotten: await drawn() };
        },
        server.url,
        lesson,
        drawing,
        [...square([220, 30, 30, 255]).data],
        [...square([30, 30, 220, 255]).data],
      );
      const device = await openDevice({ adapter: adapterOf[browser] });
      const model = await loadMMAR('checkpoints/emoji', { device });
      const drawn = async () => hash((await model.generate(drawing)).picture.data);
      const before = await drawn();
      const examples = [
        { image: square([220, 30, 30, 255]), prompt: 'red square' },
        { image: square([30, 30, 220, 255]), prompt: 'blue square' },
      ];
      const { patch } = await model.teach({ ...lesson, examples });
      await model.forget();
      await model.usePatch(patch);
      assert.equal(got, { patch: hash(patch), losses: got.losses, before, after: await drawn(), forgotten: before });
      assert.not.equal(got.after, got.before);
      assert.is(got.losses.length, 2);
      await model.close();
      device.destroy();
    });

    test('the page teaches, stops, saves, loads and forgets', async (page) => {
      await page.open();
      await page.press('Teach', 'tab');
      await page.press('Teach');
      await page.says('notices', /no picture to learn from/);
      await page.choose('#teach-pictures', 'tests/web/teach.test.ts', 'checkpoints/emoji/reference/red-apple.png');
      await page.says('notices', /teach\.test\.ts is no picture/);
      const words = () =>
        page.page.evaluate(() => document.querySelector<HTMLInputElement>('#teach-list input')?.value);
      await page.control('Take red apple away', 'button');
      assert.is(await words(), 'red apple');
      await page.press('Take red apple away');
      await page.press('Try shapes');
      await page.control('Take yellow cross away', 'button');
      for (const shape of ['blue square', 'green circle', 'yellow cross']) await page.press(`Take ${shape} away`);
      assert.is(await words(), 'red triangle');
      await page.fill('Rehearsed pictures', 0);
      await page.fill('Lesson steps', 10_000);
      await page.press('Teach');
      await page.says('teach-status', /Step [1-9]\d* of 10000, loss \d/);
      await page.press('Stop teaching');
      await page.says('teach-status', /^Stopped/, 30);
      const patch = await page.saved('Save patch');
      const file = path.join(newFolder(), 'learned.safetensors');
      fs.writeFileSync(file, patch);
      assert.match(Buffer.from(patch.subarray(0, 60)).toString(), /"step":"\d+"/);
      assert.ok(await page.page.evaluate(() => !!document.querySelector('#teach-loss polyline')));
      await page.press('Forget');
      await page.says('teach-status', /^Forgotten/);
      await page.choose('#teach-file', file);
      await page.says('teach-status', /learned\.safetensors lies over the model/);
      assert.equal(Buffer.from(await page.saved('Share')).equals(patch), true);
      assert.equal(page.errors, []);
    });
  },
  closeGPU,
);
