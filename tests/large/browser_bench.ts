// node tests/large/browser_bench.mjs OUT.json [--browser firefox] [--what model] [--config mmar-0.5b] [--quick]: the page's Benchmark
// tab, pressed as a person would, to its end; the report is what "Save JSON" gives. Without --what and --config, everything.
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { readReport } from '../../bench/read_report.ts';
import { type BrowserName, launch } from '../web/browsers.ts';
import { TestPage, TestServer } from '../web/harness.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    browser: { type: 'string', default: 'firefox' },
    what: { type: 'string', default: '' },
    config: { type: 'string', default: '' },
    quick: { type: 'boolean', default: false },
    hours: { type: 'string', default: '3' },
  },
});
const [out] = positionals;
if (!out) throw new Error('give the file that the report goes to');

const start = performance.now(),
  say = (text: string) => console.log(`${((performance.now() - start) / 1000).toFixed(0).padStart(5)} s  ${text}`);
const browser = await launch(values.browser as BrowserName);
if (typeof browser === 'string') throw new Error(browser);
browser.on('disconnected', () => say('the browser is gone'));
const server = await TestServer.start(),
  page = new TestPage(await browser.newPage(), server);
const heard = setInterval(async () => {
  const status = await page.text('bench-status').catch((error) => String(error));
  say(`${status} (${(freeMemory() / 1e9).toFixed(1)} GB free)`);
}, 10_000);
try {
  await page.page.setViewport({ width: 1280, height: 900 });
  await page.open();
  await page.press('Benchmark', 'tab');
  await page.page.evaluate(
    (fields) => {
      for (const [id, value] of Object.entries(fields)) {
        const field = document.getElementById(id) as HTMLSelectElement & HTMLInputElement;
        if (typeof value === 'boolean') field.checked = value;
        else field.value = value;
      }
    },
    { 'bench-what': values.what, 'bench-config': values.config, 'bench-quick': values.quick },
  );
  await page.press('Measure');
  const status = await ended(Number(values.hours) * 3600_000);
  say(status);
  const notices = await page.text('notices');
  if (!/^Done/.test(status)) throw new Error(`${status} ${notices}`);
  const report = Buffer.from(await page.saved('Save JSON')).toString('utf8');
  readReport(report, 'the page’s report');
  fs.writeFileSync(out, report);
} finally {
  clearInterval(heard);
  server.close();
  await Promise.race([browser.close(), new Promise((done) => setTimeout(done, 10_000))]);
}
process.exit(0);

/** What the tab says at its end; asked for time and again, as a browser that is gone answers no longer. */
async function ended(within: number): Promise<string> {
  for (const until = Date.now() + within; Date.now() < until; await new Promise((done) => setTimeout(done, 1000))) {
    const status = await page.text('bench-status');
    if (/^Done|did not work|Stopped/.test(status)) return status;
  }
  throw new Error(`not done within ${values.hours} hours`);
}

function freeMemory(): number {
  return Number(/MemAvailable:\s*(\d+)/.exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1]) * 1024;
}
