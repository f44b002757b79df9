// What the tests in browsers share: the built page on a server that can be slow, broken or strange, and the page's own controls.
import fs from 'node:fs';
import type http from 'node:http';
import path from 'node:path';
import type { ElementHandle, Page } from 'puppeteer-core';
import { suite } from 'uvu';
import { adapterOf, type BrowserName, launch } from './browsers.ts';

type Answerer = (request: http.IncomingMessage, response: http.ServerResponse, file: string) => boolean;
interface ServeModule {
  serve(options: { more: Record<string, string>; answer: Answerer }): Promise<{ url: string; server: http.Server }>;
  parseRange(headers: http.IncomingHttpHeaders, size: number, tag: string): [start: number, end: number] | undefined;
}

/** Modules that are run as they are: they look for files beside themselves. */
const own = <T>(file: string): Promise<T> => import(path.resolve(file));
const { buildWeb } = await own<{ buildWeb(outdir: string): Promise<unknown> }>('esbuild.config.mjs'),
  { serve, parseRange } = await own<ServeModule>('web/serve.mjs');
if (!process.env.MMAR_WEB_BUILT) await buildWeb('dist/browser'); // the runner builds it once for all

export const golden = process.env.MMAR_GOLDEN ?? 'tests/golden';

/** How the server treats the weights' file. */
export interface Manners {
  /** Bytes a second; as fast as can be unless given. */
  rate?: number;
  /** So many answers break off in their middle. */
  breaks?: number;
  /** Knows no ranges. */
  noRanges?: boolean;
  tag?: string;
  /** Takes the place of a file, by its name. */
  instead?: Record<string, string>;
}

export class TestServer {
  manners: Manners = {};
  /** Bytes of weights that were sent. */
  sent = 0;
  url = '';
  private server!: http.Server;

  static async start(): Promise<TestServer> {
    const made = new TestServer();
    ({ url: made.url, server: made.server } = await serve({
      more: { '/golden/': golden },
      answer: (request, response, file) => made.answer(request, response, file),
    }));
    return made;
  }

  private answer(request: http.IncomingMessage, response: http.ServerResponse, file: string): boolean {
    const instead = this.manners.instead?.[path.basename(file)];
    if (instead !== undefined) {
      response.writeHead(200, { 'Content-Length': Buffer.byteLength(instead) }).end(instead);
      return true;
    }
    if (!file.endsWith('emoji/model.safetensors')) return false;
    const bytes = fs.readFileSync(file),
      { rate = Infinity, noRanges, tag = '"1"' } = this.manners;
    const [start, end] = (noRanges ? undefined : parseRange(request.headers, bytes.length, tag)) ?? [
        0,
        bytes.length - 1,
      ],
      whole = end - start + 1 === bytes.length;
    const headers: http.OutgoingHttpHeaders = { ETag: tag, 'Content-Length': end - start + 1 };
    if (!noRanges) headers['Content-Range'] = `bytes ${start}-${end}/${bytes.length}`;
    response.writeHead(noRanges || (whole && !request.headers.range) ? 200 : 206, headers);
    const breaks = end - start > 1000 && (this.manners.breaks ?? 0) > 0;
    if (breaks) this.manners.breaks!--;
    const stop = breaks ? start + Math.floor((end - start) / 2) : Infinity;
    const send = (at: number): void => {
      if (response.destroyed) return;
      if (at >= stop) return void response.destroy();
      const next = Math.min(end + 1, at + 256 * 1024, Math.max(stop, at + 1));
      this.sent += next - at;
      response.write(bytes.subarray(at, next));
      if (next > end) return void response.end();
      if (rate === Infinity) setImmediate(send, next);
      else setTimeout(send, ((next - at) / rate) * 1000, next);
    };
    send(start);
    return true;
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** The page in a browser, by its own controls. */
export class TestPage {
  errors: string[] = [];

  constructor(
    readonly page: Page,
    readonly server: TestServer,
  ) {
    page.on('pageerror', (error) => this.errors.push(String(error)));
  }

  async open(hash = ''): Promise<void> {
    await this.page.goto('about:blank');
    await this.page.goto(this.server.url + hash);
  }

  text = (id: string): Promise<string> =>
    this.page.evaluate((id) => document.getElementById(id)!.textContent!.trim(), id);

  /** The control that a person would call so, as soon as it is there. */
  async control(name: string, role: string): Promise<ElementHandle> {
    for (const until = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
      const found = await this.page.$(`::-p-aria([name="${name}"][role="${role}"])`);
      if (found) return found;
      if (Date.now() > until) throw new Error(`no ${role} is called ${name}; notices: ${await this.text('notices')}`);
    }
  }

  /** Chooses files for an input that a person reaches by its label. */
  async choose(selector: string, ...files: string[]): Promise<void> {
    const input = (await this.page.$(selector)) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(...files);
  }

  async press(name: string, role = 'button'): Promise<void> {
    for (let tries = 1; ; tries++) {
      const control = await this.control(name, role);
      try {
        await control.evaluate((e) => (e as HTMLElement).scrollIntoView({ block: 'center' }));
        return await control.click();
      } catch (error) {
        if (tries > 2 || !/detached/.test((error as Error).message)) throw error; // a list was just drawn anew
      }
    }
  }

  async fill(
    name: string,
    value: string | number,
    role = typeof value === 'number' ? 'spinbutton' : 'textbox',
  ): Promise<void> {
    const field = await this.control(name, role);
    await field.evaluate((e, value) => {
      (e as HTMLInputElement).value = value;
      e.dispatchEvent(new Event('input', { bubbles: true }));
    }, String(value));
  }

  /** Waits until `id` says something like that, however shortly. */
  async says(id: string, pattern: RegExp, seconds = 240): Promise<string> {
    const { text, found } = await this.page.evaluate(
      (id, source, flags, seconds) =>
        new Promise<{ text: string; found: boolean }>((resolve) => {
          const element = document.getElementById(id)!;
          const wanted = new RegExp(source, flags);
          const look = (last: boolean) => {
            const text = element.textContent!.trim();
            const found = wanted.test(text);
            if (!found && !last) return;
            observer.disconnect();
            clearTimeout(timer);
            resolve({ text, found });
          };
          const observer = new MutationObserver(() => look(false));
          observer.observe(element, { childList: true, characterData: true, subtree: true });
          const timer = setTimeout(look, seconds * 1000, true);
          look(false);
        }),
      id,
      pattern.source,
      pattern.flags,
      seconds,
    );
    if (found) return text;
    const [notices, errors] = [await this.text('notices'), this.errors.join('; ')];
    throw new Error(
      `#${id} still says ${JSON.stringify(text)}, want ${pattern}; notices: ${notices}; errors: ${errors}`,
    );
  }

  async load(): Promise<void> {
    await this.page.evaluate(() => ((document.getElementById('model') as HTMLDetailsElement).open = true));
    await this.press('Load');
  }

  /** Draws and waits for the picture. */
  async draw(): Promise<void> {
    await this.press('Draw');
    await this.says('draw-status', /drawn in|did not work/);
    if (!/drawn in/.test(await this.text('draw-status'))) throw new Error(await this.text('notices'));
  }

  /** The bytes that "Save PNG" gives the user. */
  savePNG(): Promise<Uint8Array> {
    return this.saved('Save PNG');
  }

  /** The bytes that a button gives the user; they come as text, since Firefox hands no long list over. */
  async saved(button: string): Promise<Uint8Array> {
    await this.page.evaluate(() => {
      const state = globalThis as unknown as { saved: Promise<string>; give: (saved: Promise<string>) => void };
      HTMLAnchorElement.prototype.click = function () {
        const read = (blob: Blob): Promise<string> =>
          new Promise((resolve) => {
            const reader = new FileReader();
            reader.onload = () => resolve(reader.result as string);
            reader.readAsDataURL(blob);
          });
        state.give(fetch(this.href).then(async (r) => read(await r.blob())));
      };
      state.saved = new Promise((resolve) => {
        state.give = resolve;
      });
    });
    await this.press(button);
    const url = await this.page.evaluate(() => (globalThis as unknown as { saved: Promise<string> }).saved);
    return new Uint8Array(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64'));
  }
}

/** What a browser does at once, unless its graphics process hangs. */
function soon<T>(work: Promise<T>, seconds = 15): Promise<T> {
  return Promise.race([
    work,
    new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000).unref();
    }),
  ]);
}

export type WebTest = (name: string, run: (page: TestPage) => Promise<void>) => void;

/**
 * Runs `tests` once a browser, each test in a fresh page of a fresh origin; a browser that is not here is skipped, visibly.
 * `done` is called behind the last.
 */
export async function inBrowsers(
  title: string,
  tests: (test: WebTest, browser: BrowserName) => void,
  done = () => {},
): Promise<void> {
  const suites: ReturnType<typeof suite>[] = [];
  for (const name of (process.env.MMAR_BROWSER?.split(',') ?? Object.keys(adapterOf)) as BrowserName[]) {
    const browser = await launch(name),
      tested = suite(`${title} in ${name}`);
    suites.push(tested);
    if (typeof browser === 'string') {
      console.log(`skipped: ${title} in ${name}: ${browser}`);
      tested.skip(name, () => {});
      continue;
    }
    tests(
      (label, run) =>
        tested(label, async () => {
          const server = await TestServer.start(),
            page = await browser.newPage(); // each port is an origin: nothing is kept there yet
          try {
            await page.setViewport({ width: 1280, height: 900 });
            await run(new TestPage(page, server));
          } finally {
            await soon(page.close()).catch(() => {});
            server.close();
          }
        }),
      name,
    );
    tested.after(() => soon(browser.close()).catch(() => void browser.process()?.kill('SIGKILL')));
  }
  suites.at(-1)!.after(done);
  for (const tested of suites) tested.run(); // only now: uvu runs side by side what comes later
}
