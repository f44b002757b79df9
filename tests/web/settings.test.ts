// The settings in an address: what is out of bounds is left out, and a changed address changes an open page.
import * as assert from 'uvu/assert';
import { inBrowsers, type TestPage } from './harness.ts';

const fields = ['prompt', 'seed', 'count', 'cfg', 'temperature', 'steps', 'iterations', 'cfg_schedule', 'eta'];
const shown = (page: TestPage): Promise<Record<string, string>> =>
  page.page.evaluate(
    (names) =>
      Object.fromEntries(names.map((name) => [name, (document.getElementById(name) as HTMLInputElement).value])),
    fields,
  );
const none = { cfg: '', temperature: '', steps: '', iterations: '', cfg_schedule: '', eta: '' };
const empty = { prompt: 'x', seed: '1', count: '1', ...none };

await inBrowsers('settings', (test) => {
  test('bounds are kept, and what lies in them is taken', async (page) => {
    await page.open(
      '#prompt=x&seed=9007199254740991&count=64&cfg=0&temperature=10&steps=50:5&iterations=1&cfg_schedule=constant&eta=1',
    );
    assert.equal(await shown(page), {
      prompt: 'x',
      seed: '9007199254740991',
      count: '64',
      cfg: '0',
      temperature: '10',
      steps: '50:5',
      iterations: '1',
      cfg_schedule: 'constant',
      eta: '1',
    });
    for (const wrong of [
      'seed=-1&count=0&cfg=-0.5&temperature=-1&steps=0&iterations=0&cfg_schedule=cosine&eta=-0.1',
      'seed=9007199254740992&count=65&cfg=-1e999&steps=5:0&eta=1.1',
      'seed=0.5&count=1.5&cfg=NaN&temperature=Infinity&steps=2.5&iterations=x',
      'seed=&count=&cfg=&temperature=&steps=&iterations=&cfg_schedule=&eta=',
    ]) {
      await page.page.evaluate((hash) => (location.hash = hash), `prompt=x&${wrong}`);
      await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '1');
      assert.equal(await shown(page), empty, wrong);
      await page.page.evaluate(() => (location.hash = 'prompt=other&seed=5'));
      await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '5');
    }
  });

  test('an address that changes changes the open page, and the form the address', async (page) => {
    await page.open(`#prompt=${'one'.repeat(200)}&seed=3&cfg=2`);
    assert.is((await shown(page)).prompt.length, 500);
    await page.page.evaluate(() => (location.hash = 'prompt=two&seed=4&steps=7&count=3'));
    await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '4');
    assert.equal(await shown(page), { ...empty, prompt: 'two', seed: '4', steps: '7', count: '3' });
    await page.fill('Guidance', 1.5);
    assert.is(await page.page.evaluate(() => location.hash), '#prompt=two&seed=4&cfg=1.5&steps=7&count=3');
    await page.fill('Steps', '20:4');
    await page.fill('Temperature', -1); // is no sound value
    assert.is(await page.page.evaluate(() => location.hash), '#prompt=two&seed=4&cfg=1.5&steps=20%3A4&count=3');
    assert.equal(page.errors, []);
  });
});
