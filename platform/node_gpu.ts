/** Adapters in Node: those that Dawn finds among the system's drivers and SwiftShader from npm. */
import fs from 'node:fs';
import os from 'node:os';
import { MMARError } from '../base/error.ts';
import { type AdapterDescription, describeAdapter } from '../engine/adapter.ts';
import { restWhileWaiting } from './node_rest.ts';
import { addSwiftshader, swiftshaderRemedy } from './swiftshader.ts';

export interface NodeAdapter {
  /** The name that `--adapter` takes, or a part of it. */
  name: string;
  adapter: GPUAdapter;
  description: AdapterDescription;
}

type Dawn = typeof import('webgpu');

/** Dawn puts timestamps on a grid of 65,536 ns unless asked not to: for pages that it does not trust. */
const trueTimestamps = 'disable-dawn-features=timestamp_quantization';

const experimentalFeatures = 'enable-dawn-features=allow_unsafe_apis';

/** Dawn's objects: collected while an adapter or device of theirs is in use, they crash the process. */
const alive: GPU[] = [];

/** Lets go of Dawn, without which Node does not exit by itself. Devices must have been destroyed before. */
export function closeGPU(): void {
  alive.length = 0;
}

/**
 * Every adapter of this machine, hardware first, then the faster software. The drivers are chosen once a process:
 * `VK_DRIVER_FILES` where it is set, else the system's and SwiftShader from npm.
 * @param experimental with features that WebGPU does not have yet
 */
export async function nodeAdapters({ experimental = false } = {}): Promise<NodeAdapter[]> {
  const dawn = await theDawn();
  const found: NodeAdapter[] = [];
  for (const name of await adapterNames(dawn)) {
    const adapter = await quietly(() => {
      const flags = [`adapter=${name}`, trueTimestamps, ...(experimental ? [experimentalFeatures] : [])],
        gpu = dawn.create(flags);
      alive.push(gpu);
      return gpu.requestAdapter({ powerPreference: 'high-performance' });
    });
    if (!adapter) continue;
    const description = describeAdapter(adapter);
    if (description.kind === 'software') restWhileWaiting(adapter);
    Object.assign(adapter, { cores: os.availableParallelism() });
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
export async function nodeAdapter(choice?: string, options?: { experimental?: boolean }): Promise<NodeAdapter> {
  const all = await nodeAdapters(options);
  const wanted = choice === undefined ? undefined : String(choice).toLowerCase(); // JavaScript may give a number
  const found = all.find(({ name, description }) => {
    if (wanted === undefined) return true;
    if (wanted === 'hardware') return description.kind === 'hardware';
    return name.toLowerCase().includes(wanted === 'lavapipe' ? 'llvmpipe' : wanted);
  });
  if (found) return found;
  const known = all.map(({ name }) => name).join('; ') || 'none';
  const remedy = all.length ? 'choose one of these' : 'install a Vulkan driver';
  throw new MMARError(
    'adapter',
    `no adapter${choice ? ` matches ${JSON.stringify(choice)}` : ''}: found ${known}; ${remedy}${swiftshaderRemedy()}`,
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
      `Dawn does not load on ${process.platform} ${process.arch}: ${(cause as Error).message.split('\n')[0]}; install mmar's packages anew on this machine`,
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
