// The two browsers that tests run in: Chromium from npm on SwiftShader, Debian's Firefox on lavapipe; both headless.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import puppeteer, { type Browser } from 'puppeteer-core';

export type BrowserName = 'chromium' | 'firefox';

/** The adapter that each browser computes on, by the name that Node's `--adapter` takes. */
export const adapterOf: Record<BrowserName, string> = { chromium: 'swiftshader', firefox: 'lavapipe' };

const launchers: Record<BrowserName, () => Promise<Browser | string>> = {
  async chromium() {
    const place = await chromiumPath();
    if (!place) return 'the package @sparticuz/chromium is not there: npm ci brings it';
    const flags = [
      '--headless',
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--enable-unsafe-webgpu',
      '--use-webgpu-adapter=swiftshader',
      '--force-color-profile=srgb',
      '--font-render-hinting=none',
    ];
    return puppeteer.launch({
      executablePath: place,
      args: flags,
      headless: true,
      userDataDir: folder('chromium'),
      protocolTimeout: 600_000,
      timeout: 120_000,
    });
  },

  async firefox() {
    const place = ['/usr/bin/firefox-esr', '/usr/bin/firefox'].find((file) => fs.existsSync(file));
    if (!place) return "Debian's firefox-esr is not there";
    const drivers = fs.existsSync('/usr/share/vulkan/icd.d')
      ? fs.readdirSync('/usr/share/vulkan/icd.d').filter((file) => /^lvp_icd.*\.json$/.test(file))
      : [];
    if (!drivers.length) return "lavapipe is not there: Debian's mesa-vulkan-drivers brings it";
    return puppeteer.launch({
      browser: 'firefox',
      executablePath: place,
      headless: true,
      protocolTimeout: 600_000,
      timeout: 120_000,
      extraPrefsFirefox: {
        'dom.webgpu.enabled': true,
        'dom.webgpu.workers.enabled': true,
        'gfx.webgpu.ignore-blocklist': true,
      },
      env: {
        ...process.env,
        HOME: folder('firefox'),
        MESA_SHADER_CACHE_DIR: kept('firefox'),
        VK_DRIVER_FILES: `/usr/share/vulkan/icd.d/${drivers[0]}`,
      },
    });
  },
};

/** Starts a browser with a fresh profile; a text says why there is none. */
export async function launch(name: BrowserName): Promise<Browser | string> {
  try {
    return await launchers[name]();
  } catch (error) {
    return `${name} does not start: ${(error as Error).message.split('\n')[0]}`;
  }
}

const made: string[] = [];
process.on('exit', () => {
  for (const place of made) fs.rmSync(place, { recursive: true, force: true });
});

function folder(name: string): string {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), `mmar-${name}-`));
  made.push(place);
  return place;
}

/** A folder of the user's cache, for what each run would make anew: Chromium's files, what lavapipe compiled for Firefox. */
function kept(name: string): string {
  const place = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'mmar', name);
  fs.mkdirSync(place, { recursive: true });
  return place;
}

/** Chromium, unpacked into the user's cache: the package itself unpacks into the system's temporary folder. */
async function chromiumPath(): Promise<string | undefined> {
  const module = await import('@sparticuz/chromium').catch(() => undefined);
  if (!module) return undefined;
  const before = process.env.TMPDIR;
  process.env.TMPDIR = kept('chromium');
  try {
    return await module.default.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}
