// Nothing overlaps or is clipped at the width of a desk or a phone, in light and dark, half-way through a drawing and after a
// read. `MMAR_SHOTS=FOLDER` keeps the pictures; with `docs`, those of the README.
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import type { BrowserName } from './browsers.ts';
import { inBrowsers, type TestPage } from './harness.ts';

const shots = process.env.MMAR_SHOTS;
/** Firefox cannot be told to be dark. */
const viewsIn = (browser: BrowserName) =>
  [1280, 390].flatMap((width) =>
    (browser === 'firefox' ? ['light'] : ['light', 'dark']).map((scheme) => ({ width, scheme })),
  );

/** What sticks out of the page or out of its own box, or lies over its neighbour. */
const faults = (page: TestPage): Promise<string[]> =>
  page.page.evaluate(() => {
    const found: string[] = [],
      say = (e: Element) =>
        `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ''} ${JSON.stringify(e.textContent!.trim().slice(0, 30))}`;
    if (document.documentElement.scrollWidth > innerWidth)
      found.push(`the page is ${document.documentElement.scrollWidth} wide`);
    const seen = [
      ...document.querySelectorAll('button, label, input, select, p, h1, h2, summary, li, canvas, td, th'),
    ].filter((e) => e.checkVisibility() && !e.closest('.visually-hidden'));
    for (const e of seen) {
      const box = e.getBoundingClientRect();
      if (box.left < -1 || box.right > innerWidth + 1) found.push(`${say(e)} reaches from ${box.left} to ${box.right}`);
      if (e.matches('button, label, summary') && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)
        found.push(`${say(e)} is clipped`);
    }
    const controls = seen.filter((e) => e.matches('button, input:not([type=file]), select, canvas, .hint, .status'));
    for (const [i, a] of controls.entries())
      for (const b of controls.slice(i + 1)) {
        const x = a.getBoundingClientRect(),
          y = b.getBoundingClientRect();
        const over =
          Math.min(x.right, y.right) - Math.max(x.left, y.left) > 1 &&
          Math.min(x.bottom, y.bottom) - Math.max(x.top, y.top) > 1;
        if (over && !a.contains(b) && !b.contains(a)) found.push(`${say(a)} lies over ${say(b)}`);
      }
    return found;
  });

async function look(page: TestPage, what: string, browser: BrowserName): Promise<void> {
  for (const { width, scheme } of viewsIn(browser)) {
    await page.page.setViewport({ width, height: width > 500 ? 900 : 844, deviceScaleFactor: width > 500 ? 1 : 2 });
    if (browser === 'chromium') await page.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.page.evaluate(() => {
      scrollTo(0, 0);
      return new Promise(requestAnimationFrame);
    });
    assert.equal(await faults(page), [], `${what} at ${width}, ${scheme}`);
    if (!shots || browser !== 'chromium') continue; // one engine's pictures are enough
    fs.mkdirSync(shots, { recursive: true });
    const file = (name: string) => path.join(shots, `${name}.png`) as `${string}.png`;
    if (shots !== 'docs') await page.page.screenshot({ path: file(`${what}-${width}-${scheme}`), fullPage: true });
    else if (width > 500 && scheme === 'light' && (what === 'drawing' || what === 'reading'))
      await page.page.screenshot({ path: file(`web-${what}`) });
  }
}

await inBrowsers('layout', (test, browser) => {
  test('half-way through a drawing, after it, and after a read', async (page) => {
    const settings = shots ? '' : '&steps=8';
    await page.open(`#prompt=tropical+fish&seed=4${settings}`);
    await look(page, 'start', browser);
    await page.load();
    await page.says('model-state', /ready/);
    await page.page.evaluate(() => ((document.getElementById('model') as HTMLDetailsElement).open = false));
    await page.press('Close'); // the note about the software adapter
    await page.press('Draw');
    await page.says('draw-status', /Step (9|1\d) of 16/);
    await look(page, 'drawing', browser);
    await page.says('draw-status', /drawn in/);
    await page.page.evaluate(() => ((document.getElementById('inside') as HTMLDetailsElement).open = true));
    await page.page.click('#show-order');
    await look(page, 'drawn', browser);
    await page.press('Read this picture');
    await page.press('Ask');
    await page.says('read-status', /tokens in/);
    for (const question of ['Which group is it in?', 'Give some tags.']) {
      await page.fill('Question', question);
      await page.press('Ask');
      await page.says('answers', new RegExp(question.replace(/[?.]/g, '\\$&')));
      await page.says('read-status', /tokens in/);
    }
    await look(page, 'reading', browser);
    await page.page.evaluate(() => ((document.getElementById('model') as HTMLDetailsElement).open = true));
    await page.page.waitForSelector('#kept-list li');
    await look(page, 'model', browser);
    await page.press('Numerics', 'tab');
    await page.fill('Points', 20_000);
    await page.press('Run');
    await page.says('board-status', /off the cells/);
    await look(page, 'numerics', browser);
    await page.press('Teach', 'tab');
    await page.press('Try shapes');
    await page.control('Take yellow cross away', 'button');
    await look(page, 'teach', browser);
  });
});
