/** SwiftShader from npm, and a Vulkan loader for machines without one: no GPU and no system package is needed. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { makeFolder } from './folder.ts';

const packed = '@sparticuz/chromium/bin/swiftshader.tar.br';

/**
 * Unpacks SwiftShader (and, for machines without one, a Vulkan loader) from `@sparticuz/chromium` into the user's cache
 * and adds it to the drivers that the loader looks at. Does nothing where the package is not there.
 */
export function addSwiftshader(): void {
  try {
    const file = findPackageFile(packed);
    if (!file) return;
    const { size } = fs.statSync(file);
    const cache = process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache');
    const folder = [cache, os.tmpdir()]
      .map((d) => path.join(d, `mmar/swiftshader-${size}`))
      .find((d) => unpack(file, d));
    if (!folder) return;
    process.env.VK_ADD_DRIVER_FILES = [process.env.VK_ADD_DRIVER_FILES, path.join(folder, 'vk_swiftshader_icd.json')]
      .filter(Boolean)
      .join(':');
    if (!loads('libvulkan.so.1')) loads(path.join(folder, 'libvulkan.so.1'));
  } catch {
    // The package is optional: without it the system's drivers remain.
  }
}

/** Says how to get SwiftShader, where it is not there and would run. */
export function swiftshaderRemedy(): string {
  if (process.platform !== 'linux' || process.arch !== 'x64' || findPackageFile(packed)) return '';
  return ', or get SwiftShader: npm install @sparticuz/chromium';
}

/** A file of an npm package, looked for from this module upwards as Node does. */
function findPackageFile(file: string): string | undefined {
  for (let folder = path.dirname(fileURLToPath(import.meta.url)); ; folder = path.dirname(folder)) {
    const found = path.join(folder, 'node_modules', file);
    if (fs.existsSync(found)) return found;
    if (folder === path.dirname(folder)) return undefined;
  }
}

/**
 * Loads a library for good, under the name that Dawn asks for; returns whether that went well. A file of that name need
 * be no library, so it is tried, and not looked for.
 */
function loads(library: string): boolean {
  const keep = 0x1000; // RTLD_NODELETE
  try {
    process.dlopen({ exports: {} }, library, os.constants.dlopen.RTLD_NOW | keep);
    return true;
  } catch (error) {
    return /self-register/.test((error as Error).message); // it is loaded, and is no add-on of Node's
  }
}

/** Unpacks a brotli-compressed tar into `folder`, whole or not at all; returns whether it is there now. */
function unpack(file: string, folder: string): boolean {
  if (fs.existsSync(path.join(folder, 'vk_swiftshader_icd.json'))) return true;
  const partial = `${folder}.${process.pid}`;
  try {
    makeFolder(partial);
    const tar = zlib.brotliDecompressSync(fs.readFileSync(file));
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
