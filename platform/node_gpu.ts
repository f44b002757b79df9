/** Adapters in Node: Dawn, and SwiftShader from npm where the machine has no GPU of its own. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { MMARError } from '../base/error.ts';
import type { AdapterDescription } from '../engine/device.ts';
import { describeAdapter } from '../engine/device.ts';
import { restWhileWaiting } from './node_rest.ts';

export interface NodeAdapter {
  /** The name that `--adapter` takes, or a part of it. */
  name: string;
  adapter: GPUAdapter;
  description: AdapterDescription;
}

type Dawn = typeof import('webgpu');

/** Dawn puts timestamps on a grid of 65,536 ns unless asked not to: for pages that it does not trust. */
const trueTimestamps = 'disable-dawn-features=timestamp_quantization';

/** Dawn's objects: collected while an adapter or device of theirs is in use, they crash the process. */
const alive: GPU[] = [];

/** Lets go of Dawn, without which Node does not exit by itself. Devices must have been destroyed before. */
export function closeGPU(): void {
  alive.length = 0;
}

/**
 * Every adapter of this machine, hardware first, then the faster software. The drivers are chosen once a process:
 * `VK_DRIVER_FILES` where it is set, else the system's and SwiftShader from npm.
 */
export async function nodeAdapters(): Promise<NodeAdapter[]> {
  const dawn = await theDawn();
  const found: NodeAdapter[] = [];
  for (const name of await adapterNames(dawn)) {
    const adapter = await quietly(() => {
      const gpu = dawn.create([`adapter=${name}`, trueTimestamps]);
      alive.push(gpu);
      return gpu.requestAdapter({ powerPreference: 'high-performance' });
    });
    if (!adapter) continue;
    const description = describeAdapter(adapter);
    if (description.kind === 'software') restWhileWaiting(adapter);
    found.push({ name, adapter, description });
  }
  const rank = ({ name, description }: NodeAdapter): number =>
    description.kind === 'hardware' ? 0 : /swiftshader/i.test(name) ? 2 : 1;
  return found.sort((a, b) => rank(a) - rank(b));
}

/**
 * The adapter of that choice: `hardware`, `swiftshader`, `lavapipe`, or a part of an adapter's name; the first of all
 * where none is given. An `adapter` error names those that there are.
 */
export async function nodeAdapter(choice?: string): Promise<NodeAdapter> {
  const all = await nodeAdapters();
  const wanted = choice?.toLowerCase();
  const found = all.find(({ name, description }) => {
    if (wanted === undefined) return true;
    if (wanted === 'hardware') return description.kind === 'hardware';
    return name.toLowerCase().includes(wanted === 'lavapipe' ? 'llvmpipe' : wanted);
  });
  if (found) return found;
  const known = all.map(({ name }) => name).join('; ') || 'none';
  const remedy = all.length ? 'choose one of these' : 'install a Vulkan driver, or run npm ci for SwiftShader';
  throw new MMARError(
    'adapter',
    `no adapter${choice ? ` matches ${JSON.stringify(choice)}` : ''}: found ${known}; ${remedy}`,
  );
}

let dawn: Promise<Dawn> | undefined;

/** Dawn, loaded once. */
function theDawn(): Promise<Dawn> {
  dawn ??= loadDawn();
  return dawn;
}

async function loadDawn(): Promise<Dawn> {
  if (process.platform === 'linux' && !process.env.VK_DRIVER_FILES && !process.env.VK_ICD_FILENAMES) addSwiftshader();
  try {
    const module = await import('webgpu');
    Object.assign(globalThis, module.globals);
    return module;
  } catch (cause) {
    throw new MMARError(
      'adapter',
      `Dawn does not load on ${process.platform} ${process.arch}: ${(cause as Error).message.split('\n')[0]}; run npm ci`,
      { cause },
    );
  }
}

/** Dawn tells its adapters' names in the error for one that does not exist. */
async function adapterNames(dawn: Dawn): Promise<string[]> {
  try {
    await quietly(() => {
      const gpu = dawn.create(['adapter=?']);
      alive.push(gpu);
      return gpu.requestAdapter();
    });
  } catch (error) {
    return [...String((error as Error).message).matchAll(/backend: '(?!null|opengl)[^']*', name: '([^']+)'/g)].map(
      ([, name]) => name,
    );
  }
  return [];
}

/**
 * Unpacks SwiftShader (and, for machines without one, a Vulkan loader) from `@sparticuz/chromium` into the user's cache
 * and adds it to the drivers that the loader looks at. Does nothing where the package is not there.
 */
function addSwiftshader(): void {
  try {
    const packed = findPackageFile('@sparticuz/chromium/bin/swiftshader.tar.br');
    if (!packed) return;
    const { size } = fs.statSync(packed);
    const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
    const folder = [cache, os.tmpdir()]
      .map((d) => path.join(d, `mmar/swiftshader-${size}`))
      .find((d) => unpack(packed, d));
    if (!folder) return;
    process.env.VK_ADD_DRIVER_FILES = [process.env.VK_ADD_DRIVER_FILES, path.join(folder, 'vk_swiftshader_icd.json')]
      .filter(Boolean)
      .join(':');
    if (!hasLoader()) {
      const module = { exports: {} };
      try {
        process.dlopen(module, path.join(folder, 'libvulkan.so.1'), os.constants.dlopen.RTLD_NOW | 0x1000);
      } catch {
        // It is no add-on and says so, but it stays loaded, under the name that Dawn asks for.
      }
    }
  } catch {
    // The package is optional: without it the system's drivers remain.
  }
}

/** A file of an npm package, looked for from this module upwards as Node does. */
function findPackageFile(file: string): string | undefined {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const found = path.join(folder, 'node_modules', file);
    if (fs.existsSync(found)) return found;
    if (folder === path.dirname(folder)) return undefined;
  }
}

const hasLoader = (): boolean =>
  ['/lib', '/usr/lib', '/usr/local/lib', '/lib64', '/usr/lib64']
    .flatMap((d) => [d, `${d}/x86_64-linux-gnu`, `${d}/aarch64-linux-gnu`])
    .some((d) => fs.existsSync(`${d}/libvulkan.so.1`));

/** Unpacks a brotli-compressed tar into `folder`, whole or not at all; returns whether it is there now. */
function unpack(packed: string, folder: string): boolean {
  if (fs.existsSync(path.join(folder, 'vk_swiftshader_icd.json'))) return true;
  const partial = `${folder}.${process.pid}`;
  try {
    fs.mkdirSync(partial, { recursive: true });
    const tar = zlib.brotliDecompressSync(fs.readFileSync(packed));
    for (let at = 0; at + 512 <= tar.length && tar[at]; ) {
      const field = (from: number, length: number) =>
        tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
      const size = parseInt(field(124, 12), 8);
      if (field(156, 1) === '0' || field(156, 1) === '')
        fs.writeFileSync(path.join(partial, path.basename(field(0, 100))), tar.subarray(at + 512, at + 512 + size), {
          mode: 0o755,
        });
      at += 512 + 512 * Math.ceil(size / 512);
    }
    fs.renameSync(partial, folder);
  } catch {
    fs.rmSync(partial, { recursive: true, force: true }); // another process was first, or the place cannot be written
  }
  return fs.existsSync(path.join(folder, 'vk_swiftshader_icd.json'));
}

/** Runs `work` with the native warnings kept off stderr: Dawn prints limits that it lowers, which concerns nobody. */
async function quietly<T>(work: () => Promise<T>): Promise<T> {
  let saved: number | undefined;
  try {
    if (process.platform === 'linux') {
      saved = fs.openSync('/proc/self/fd/2', 'a');
      fs.closeSync(2);
      fs.openSync('/dev/null', 'w');
    }
  } catch {
    saved = undefined;
  }
  try {
    return await work();
  } finally {
    if (saved !== undefined) {
      fs.closeSync(2);
      fs.openSync(`/proc/self/fd/${saved}`, 'a');
      fs.closeSync(saved);
    }
  }
}
