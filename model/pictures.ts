import { MMARError } from '../base/error.ts';
import type { Picture, Platform } from '../base/platform.ts';
import { fileAt } from './place.ts';

/** Whatever people have a picture in: pixels, an encoded file, or the place of one. */
export type ImageInput = Picture | ImageData | ImageBitmap | Blob | ArrayBuffer | Uint8Array | URL | string;

/** The pixels of an image. Throws `picture` where it is none, `file` where it is not there. */
export async function pictureOf(image: ImageInput, given?: Platform, signal?: AbortSignal): Promise<Picture> {
  const platform = given ?? pixelsAlone;
  if (typeof image === 'string' || image instanceof URL) return fromPlace(String(image), platform, signal);
  if (image instanceof Uint8Array) return platform.decodePicture(image, 'the picture');
  if (image instanceof ArrayBuffer) return platform.decodePicture(new Uint8Array(image), 'the picture');
  if (typeof Blob !== 'undefined' && image instanceof Blob) {
    const name = 'name' in image && typeof image.name === 'string' ? image.name : 'the picture';
    return platform.decodePicture(new Uint8Array(await image.arrayBuffer()), name);
  }
  if (typeof ImageBitmap !== 'undefined' && image instanceof ImageBitmap) return fromBitmap(image);
  const { width, height, data } = (image ?? {}) as Picture;
  const count = (n: unknown) => Number.isSafeInteger(n) && (n as number) > 0;
  const list = ArrayBuffer.isView(data) || Array.isArray(data);
  if (count(width) && count(height) && list && data.length === 4 * width * height) return { width, height, data };
  throw new MMARError(
    'picture',
    `image is ${image === null ? 'null' : typeof image === 'object' ? 'an object of another kind' : typeof image}; give a picture { width, height, data }, a Blob, ImageData, ImageBitmap, bytes, a path or a URL`,
  );
}

const refuse = (): never => {
  throw new MMARError('usage', 'this model was loaded without a platform, which decodes files; give pixels');
};
const pixelsAlone: Platform = { source: refuse, decodePicture: refuse, encodePNG: refuse };

async function fromPlace(place: string, platform: Platform, signal?: AbortSignal): Promise<Picture> {
  if (/^(data|blob):/i.test(place)) {
    const answer = await fetch(place, { signal });
    return platform.decodePicture(new Uint8Array(await answer.arrayBuffer()), place.slice(0, 40));
  }
  const placed = fileAt(place, platform.source);
  if (!placed)
    throw new MMARError('picture', `${JSON.stringify(place)} is no place of a picture; give a path or a URL`);
  const { source, file } = placed;
  try {
    const size = await source.size(file, signal);
    if (size === undefined) throw new MMARError('file', `${place} is not there: check the path`);
    const bytes = new Uint8Array(size);
    await source.read(file, 0, bytes, signal);
    return await platform.decodePicture(bytes, place);
  } finally {
    await source.close();
  }
}

function fromBitmap(bitmap: ImageBitmap): Picture {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new MMARError('picture', 'this browser gives no canvas to read an ImageBitmap with; give a Blob');
  context.drawImage(bitmap, 0, 0);
  return { width, height, data: context.getImageData(0, 0, width, height).data };
}
