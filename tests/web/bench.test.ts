// The Benchmark tab: a run that is stopped, one that is whole, its link and its Markdown; a shader of one's own that is right,
// wrong, does not compile, does not end. `MMAR_SHOTS=FOLDER` keeps pictures of it.
import fs from 'node:fs';
import path from 'node:path';
import * as assert from 'uvu/assert';
import type { Picture } from '../../base/platform.ts';
import { packReport } from '../../bench/link.ts';
import { readReport } from '../../bench/read_report.ts';
import type { Report } from '../../bench/report.ts';
import { decodePicture } from '../../platform/node.ts';
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

/** Saves the card of the report that is shown. */
async function checkCard(page: TestPage, browser: string): Promise<void> {
  for (const scheme of ['light', 'dark']) {
    await page.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]).catch(() => {});
    const png = await page.saved('Save card');
    const card = await decodePicture(png, 'card');
    assert.equal([card.width, card.height], [1200, 630]);
    assert.ok(new Set(new Uint32Array(card.data.buffer)).size > 100, 'it has text and bars');
    if (shots) fs.writeFileSync(path.join(shots, `card-${browser}-${scheme}.png`), png);
  }
}

/** The card of a report that the address carries. */
async function cardOf(page: TestPage, report: Report, what: string): Promise<Picture> {
  await page.open(`#report=${await packReport(report)}`);
  await page.says('bench-report', new RegExp(report.adapter.name.slice(0, 8)));
  const png = await page.saved('Save card');
  if (shots) fs.writeFileSync(path.join(shots, `card-${what}.png`), png);
  return decodePicture(png, what);
}

/** Of a part of a card the pixels that are not of its ground, by their places. */
function inked({ width, data }: Picture, left: number, top: number, right: number, bottom: number): string[] {
  const pixels = new Uint32Array(data.buffer, data.byteOffset),
    found: string[] = [];
  for (let y = top; y < bottom; y++)
    for (let x = left; x < right; x++) {
      const pixel = pixels[y * width + x];
      if (pixel !== pixels[0]) found.push(`${x} ${y} ${pixel}`);
    }
  return found;
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

  test('saved reports are compared, and one alone is shown and is a card', async (page) => {
    await page.open();
    await page.press('Benchmark', 'tab');
    const report = fs.readFileSync('bench/results/llvmpipe.json', 'utf8');
    const slower = JSON.parse(report) as Report;
    slower.limits.copy_gbps /= 4;
    await page.page.evaluate(
      (files) => {
        const dropped = new DataTransfer();
        for (const [name, text] of files) dropped.items.add(new File([text], name, { type: 'application/json' }));
        const drop = new DragEvent('drop', { dataTransfer: dropped, bubbles: true, cancelable: true });
        document.getElementById('bench-drop')!.dispatchEvent(drop);
      },
      [
        ['before.json', report],
        ['after.json', JSON.stringify(slower)],
        ['fake.json', '{'],
      ],
    );
    await page.says('notices', /fake\.json/);
    await page.says('bench-comparison', /before\.json → after\.json.*limit copy.*worse/s);
    await page.choose('#bench-reports', 'bench/results/llvmpipe.json');
    await page.says('bench-files', /before\.json, after\.json, llvmpipe\.json/);
    await page.press('Clear');
    await page.says('bench-comparison', /^$/);
    await page.choose('#bench-reports', 'bench/results/llvmpipe.json');
    await page.says('bench-report', /llvmpipe/);
    await look(page, `compare-${browser}`);
    await checkCard(page, browser);
    assert.equal(page.errors, []);
  });

  test('a card says that its figures are void, and has no bar where no share is known', async (page) => {
    const report = readReport(fs.readFileSync('bench/results/llvmpipe.json', 'utf8'), 'llvmpipe.json'),
      voided = 'The tab was hidden while this ran: its figures are void';
    const card = (what: string, more: Partial<Report>) => cardOf(page, { ...report, ...more }, `${what}-${browser}`);
    const plain = await card('plain', { notes: [] }),
      noted = await card('noted', { notes: [voided] }),
      long = await card('long', { notes: [voided, ...Array(50).fill('and there is more to say')] }),
      shareless = await card('shareless', { kernels: report.kernels.map(({ share: _, ...row }) => row) });
    const note = (card: Picture, left = 0, right = 1200) => inked(card, left, 516, right, 550).length,
      bars = (card: Picture) => inked(card, 580, 200, 1200, 450).length;
    assert.is(note(plain), 0);
    assert.ok(note(noted) > 500, `${note(noted)} pixels`);
    assert.equal(
      inked(long, 0, 516, 400, 550),
      inked(noted, 0, 516, 400, 550),
      'what is too long is cut, not squeezed',
    );
    assert.ok(note(long, 1000, 1137) > 0 && note(long, 1137) === 0);
    assert.ok(bars(plain) > 1000);
    assert.is(bars(shareless), 0);
    assert.equal(page.errors, []);
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
    await checkCard(page, browser);
    assert.equal(page.errors, []);
  });

  test('a tab that is hidden meanwhile says that its figures are void, and so does the report', async (page) => {
    await page.open();
    await page.press('Benchmark', 'tab');
    await choose(page, 'bench-what', 'limits');
    await page.press('Measure');
    await page.says('bench-status', /Measuring/);
    const other = await page.page.browser().newPage();
    await other.bringToFront();
    await page.page.evaluate(() => {
      if (document.hidden) return;
      Object.defineProperty(document, 'hidden', { value: true }); // the headless Chromium shows all its tabs
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await other.close();
    await page.page.bringToFront();
    await page.says('bench-status', /hidden while this ran: its figures are void/);
    await page.says('bench-report', /Note: The tab was hidden/);
    await catchSaves(page);
    await page.press('Save JSON');
    assert.match(readReport(await saved(page), 'saved').notes[0], /figures are void/);
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
      page.page.evaluate((text) => {
        const field = document.getElementById('editor-text') as HTMLTextAreaElement;
        field.value = text;
        field.dispatchEvent(new Event('input'));
      }, text);
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

    await choose(page, 'editor-form', 'written');
    await page.says('editor-status', /as it is written/);
    const written = await source();
    assert.match(written, /#include "lib\//);
    await page.press('Run it');
    await page.says('editor-status', /^Right.*times as long as ours/, 60);
    await type(written.replace('#include "lib/', '#include "lip/'));
    await page.press('Run it');
    await page.says('editor-status', /does not compile/);
    await page.says('editor-result', /^Line \d+there is no lip\//);
    await choose(page, 'editor-form', 'compiled');
    await page.says('editor-status', /as you left it/);
    await choose(page, 'editor-form', 'written');
    assert.match(await source(), /#include "lip\//);
    await page.press('Load its source');
    await page.says('editor-status', /as it is written/);
    assert.is(await source(), written);
    await page.fill('Matrix shape', '64x256');
    await page.press('Load its source');
    await page.says('editor-status', /the matrix shape is "64x256"; give three whole numbers/);
    assert.equal(page.errors, []);
  });
});
