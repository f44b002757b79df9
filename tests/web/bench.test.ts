// The Benchmark tab: a run that is stopped, one that is whole, its link and its Markdown; a shader of one's own that is right,
// wrong, does not compile, does not end. `MMAR_SHOTS=FOLDER` keeps pictures of it.
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { readReport } from '../../bench/report.ts';
import { inBrowsers, type TestPage } from './harness.ts';

const shots = process.env.MMAR_SHOTS;

async function look(page: TestPage, what: string): Promise<void> {
  for (const width of [1280, 390])
    for (const scheme of ['light', 'dark']) {
      await page.page.setViewport({ width, height: 900 });
      await page.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]).catch(() => {});
      const wide = await page.page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${what} is ${wide} wide on ${width}`);
      if (!shots) continue;
      fs.mkdirSync(shots, { recursive: true });
      const file = path.join(shots, `${what}-${width}-${scheme}.png`) as `${string}.png`;
      await page.page.screenshot({ path: file, fullPage: true });
    }
  await page.page.setViewport({ width: 1280, height: 900 });
}

const choose = (page: TestPage, id: string, value: string) =>
  page.page.evaluate(
    (id, value) => {
      const field = document.getElementById(id) as HTMLSelectElement;
      field.value = value;
      field.dispatchEvent(new Event('change', { bubbles: true }));
    },
    id,
    value,
  );

/** What is saved or copied in place of a clipboard that headless browsers refuse. */
const saved = (page: TestPage): Promise<string> =>
  page.page.evaluate(() => (globalThis as unknown as { saved: Promise<string> }).saved);
const catchSaves = (page: TestPage) =>
  page.page.evaluate(() => {
    Object.defineProperty(navigator, 'clipboard', {
      value: { writeText: (text: string) => Promise.resolve(Object.assign(globalThis, { saved: text })) },
    });
    HTMLAnchorElement.prototype.click = function () {
      Object.assign(globalThis, { saved: fetch(this.href).then((r) => r.text()) });
    };
  });

await inBrowsers('bench', (test, browser) => {
  test('measures the limits, stops, and hands the report on', async (page) => {
    await page.open();
    await page.press('Benchmark', 'tab');
    await page.press('Measure'); // everything: that takes a while
    await page.says('bench-status', /Measuring/);
    await page.press('Stop measuring');
    await page.says('bench-status', /Stopped/, 30);
    await choose(page, 'bench-what', 'limits');
    await page.press('Measure');
    await page.says('bench-status', /Done/);
    await page.says('bench-report', /multiply-adds, f32.*reading memory/s);
    await catchSaves(page);
    await page.press('Save JSON');
    const report = readReport(await saved(page), 'saved');
    assert.ok(report.limits.fma_gflops > 0.1 && report.limits.read_gbps > 0.01);
    await page.press('Copy Markdown');
    await page.says('bench-status', /Markdown copied/);
    assert.match(await saved(page), /\| multiply-adds, f32 \|/);
    await page.press('Copy link');
    await page.says('bench-status', /Link copied/);
    const link = await saved(page);
    await page.open(new URL(link).hash);
    await page.says(
      'bench-report',
      new RegExp(`multiply-adds, f32${Math.round(report.limits.fma_gflops) ? '' : '.*'}`),
    );
    assert.equal(page.errors, []);
    console.log(`${browser}: ${JSON.stringify(report.limits)}`);
  });

  test('a hostile link is text or a notice', async (page) => {
    await page.open('#report=AAAA');
    await page.says('notices', /holds no whole report/);
    assert.equal(page.errors, []);
  });

  test('measures the carried model’s kernels', async (page) => {
    await page.open();
    await page.press('Benchmark', 'tab');
    await choose(page, 'bench-what', 'kernels');
    await choose(page, 'bench-config', 'emoji');
    await page.press('Measure');
    await page.says('bench-status', /Done|did not work/, 400);
    await page.says('bench-report', /matmul.*rms_norm/s);
    await look(page, `bench-${browser}`);
    assert.equal(page.errors, []);
  });

  test('tries a shader: right, wrong, with an error, without an end', async (page) => {
    await page.open();
    await page.press('Benchmark', 'tab');
    await page.page.evaluate(() => ((document.getElementById('editor') as HTMLDetailsElement).open = true));
    await page.says('editor-status', /kernel’s own source/);
    await page.fill('Matrix shape', '64x256x256');
    await choose(page, 'editor-kernel', 'matmul:direct');
    await page.says('editor-status', /kernel’s own source/);
    await page.press('Load its source');
    await page.says('editor-status', /kernel’s own source/);
    const source = () =>
      page.page.evaluate(() => (document.getElementById('editor-text') as HTMLTextAreaElement).value);
    const type = (text: string) =>
      page.page.evaluate(
        (text) => ((document.getElementById('editor-text') as HTMLTextAreaElement).value = text),
        text,
      );
    const own = await source();
    await page.press('Run it');
    await page.says('editor-status', /^Right.*times as long as ours/);

    await type(own.replace('v = shape.alpha *', 'v = 1.2 * shape.alpha *'));
    await page.press('Run it');
    await page.says('editor-status', /^Wrong/);

    const lines = own.split('\n'),
      at = lines.findIndex((line) => /^fn main/.test(line)) + 1;
    await type([...lines.slice(0, at), 'let broken = ;', ...lines.slice(at)].join('\n'));
    await page.press('Run it');
    await page.says('editor-status', /does not compile/);
    await page.says('editor-result', new RegExp(`Line ${at + 1}`));
    await look(page, `editor-${browser}`);

    await type(
      own.replace(
        /^(?=.*v = shape\.alpha \*)/m,
        '  loop { if (shape.rows == 0u) { break; } y[0] += vec2<u32>(1u); }\n',
      ),
    );
    const start = performance.now();
    await page.press('Run it');
    await page.says('editor-status', /Its loop at line \d+ does not end/, 15);
    console.log(`${browser}: an endless loop was told after ${((performance.now() - start) / 1000).toFixed(1)} s`);
    assert.equal(page.errors, []);
    await type(own);
    await page.press('Run it');
    await page.says('editor-status', /^Right.*times as long as ours/, 60);
    assert.equal(page.errors, []);
  });
});
