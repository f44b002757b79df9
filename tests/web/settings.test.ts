// The settings in an address: what is out of bounds is left out, and a changed address changes an open page.
import * as assert from 'uvu/assert';
import { inBrowsers, type TestPage } from './harness.ts';

const fields = ['prompt', 'seed', 'count', 'cfg', 'temperature', 'steps', 'iterations'];
const shown = (page: TestPage): Promise<Record<string, string>> =>
  page.page.evaluate(
    (names) =>
      Object.fromEntries(names.map((name) => [name, (document.getElementById(name) as HTMLInputElement).value])),
    fields,
  );
const empty = { prompt: 'x', seed: '1', count: '1', cfg: '', temperature: '', steps: '', iterations: '' };

await inBrowsers('settings', (test) => {
  test('bounds are kept, and what lies in them is taken', async (page) => {
    await page.open('#prompt=x&seed=9007199254740991&count=64&cfg=0&temperature=10&steps=2&iterations=1');
    assert.equal(await shown(page), {
      prompt: 'x',
      seed: '9007199254740991',
      count: '64',
      cfg: '0',
      temperature: '10',
      steps: '2',
      iterations: '1',
    });
    for (const wrong of [
      'seed=-1&count=0&cfg=-0.5&temperature=11&steps=1&iterations=0',
      'seed=9007199254740992&count=65&cfg=101&temperature=-1&steps=1001&iterations=1025',
      'seed=0.5&count=1.5&cfg=NaN&temperature=Infinity&steps=2.5&iterations=x',
      'seed=&count=&cfg=&temperature=&steps=&iterations=',
    ]) {
      await page.page.evaluate((hash) => (location.hash = hash), `prompt=x&${wrong}`);
      await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '1');
      assert.equal(await shown(page), empty, wrong);
      await page.page.evaluate(() => (location.hash = 'prompt=other&seed=5'));
      await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '5');
    }
  });

  test('an address that changes changes the open page, and the form the address', async (page) => {
    await page.open('#prompt=one&seed=3&cfg=2');
    await page.page.evaluate(() => (location.hash = 'prompt=two&seed=4&steps=7'));
    await page.page.waitForFunction(() => (document.getElementById('seed') as HTMLInputElement).value === '4');
    assert.equal(await shown(page), { ...empty, prompt: 'two', seed: '4', steps: '7' });
    await page.fill('Guidance', 1.5);
    assert.is(await page.page.evaluate(() => location.hash), '#prompt=two&seed=4&cfg=1.5&steps=7');
    assert.equal(page.errors, []);
  });
});
