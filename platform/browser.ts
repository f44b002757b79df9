/** What is a browser's own: files by URL, pictures through its codecs, the adapter that it gives. */

import { MMARError } from '../base/error.ts';
import type { Picture, Platform } from '../base/platform.ts';
import { type AdapterDescription, describeAdapter } from '../engine/adapter.ts';
import { Device } from '../engine/device.ts';
import { MAX_PICTURE_PIXELS, pictureFormat } from '../loaders/image.ts';
import { blockSource } from './block_source.ts';
import { nudgeWhileWaiting } from './browser_nudge.ts';
import { decodePNG, encodePNG } from './png.ts';

export const browserPlatform: Platform = {
  source: (where) => blockSource(absolute(where)),
  decodePicture,
  encodePNG,
};

/** An address as the page means it: one without a host is of the page's own. */
export function absolute(where: string): string {
  try {
    return new URL(where, globalThis.location?.href).href;
  } catch (cause) {
    throw new MMARError('usage', `${where} is no address: give https://…`, { cause });
  }
}

export interface DeviceOptions {
  /** `hardware` or `software`; whatever the browser gives unless given. */
  adapter?: string;
  /** Lowers the size at which tensors are split over buffers, for tests. */
  maxBinding?: number;
  /** Chooses the kernels of that kind of adapter, for tests. */
  kind?: AdapterDescription['kind'];
}

/** The browser's adapter, asked for three times within a second: while its graphics process starts anew there is none. */
async function askForAdapter(options: GPURequestAdapterOptions): Promise<GPUAdapter | null> {
  for (let asked = 1; ; asked++) {
    const adapter = await navigator.gpu.requestAdapter(options);
    if (adapter || asked === 3) return adapter;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Opens a device on the adapter that the browser gives. An `adapter` error says why there is none, and what helps. */
export async function openDevice({ adapter: choice, maxBinding, kind }: DeviceOptions = {}): Promise<Device> {
  if (choice !== undefined && choice !== 'hardware' && choice !== 'software') {
    throw new MMARError('usage', `adapter is ${JSON.stringify(choice)}; in a browser give hardware or software`);
  }
  if (!globalThis.isSecureContext) {
    throw new MMARError('adapter', 'WebGPU is given to pages over https or from localhost alone: open this one so');
  }
  if (!navigator.gpu) {
    throw new MMARError(
      'adapter',
      'this browser has no WebGPU: use a current Chrome, Edge, Safari or Firefox, or switch WebGPU on in its settings',
    );
  }
  const adapter = await askForAdapter({
    powerPreference: 'high-performance',
    forceFallbackAdapter: choice === 'software',
  });
  if (!adapter) {
    throw new MMARError(
      'adapter',
      'the browser finds no graphics adapter for WebGPU: update the graphics driver, or switch hardware acceleration on in its settings',
    );
  }
  const found: AdapterDescription = describeAdapter(adapter);
  if (choice && found.kind !== choice) {
    throw new MMARError(
      'adapter',
      `the browser gives a ${found.kind} adapter only: switch hardware acceleration on in its settings`,
    );
  }
  nudgeWhileWaiting(adapter);
  return Device.open(adapter, { maxBinding, kind });
}

/**
 * Decodes PNG, JPEG or WebP to 8-bit sRGB, turned as its EXIF orientation says. `name` is for messages. Throws `picture`
 * for anything else, for damage, and for more than `MAX_PICTURE_PIXELS`.
 */
export async function decodePicture(bytes: Uint8Array, name: string): Promise<Picture> {
  const format = pictureFormat(bytes);
  if (!format) throw new MMARError('picture', `${name} is no picture that mmar reads: give a PNG, JPEG or WebP file`);
  const damaged = (cause: unknown): never => {
    throw new MMARError('picture', `${name} is a damaged picture: save it anew`, { cause });
  };
  // As the file has it: neither colours nor transparency are to be touched.
  const options: ImageBitmapOptions = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' };
  const bitmap = await createImageBitmap(
      new Blob([bytes as Uint8Array<ArrayBuffer>], { type: `image/${format}` }),
      options,
    ).catch(damaged),
    { width, height } = bitmap;
  try {
    if (width * height > MAX_PICTURE_PIXELS) {
      throw new MMARError(
        'picture',
        `${name} has ${width}×${height} pixels, over ${MAX_PICTURE_PIXELS}: make it smaller`,
      );
    }
    const exact = format === 'png' ? await decodePNG(bytes).catch(damaged) : undefined;
    if (exact) return exact;
    const canvas = new OffscreenCanvas(width, height),
      context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' });
    if (!context) throw new MMARError('picture', 'this browser gives no canvas to decode pictures on');
    context.drawImage(bitmap, 0, 0);
    return { width, height, data: context.getImageData(0, 0, width, height).data };
  } finally {
    bitmap.close();
  }
}
