import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';

const hubId = /^[\w.-]+\/[\w.-]+$/;

/** A file and where it is. */
export interface PlacedFile {
  source: Source;
  file: string;
}

/** The file of a path or URL; undefined where that ends in no name. */
export function fileAt(place: string, open: (where: string) => Source): PlacedFile | undefined {
  const [, folder = './', file, query = ''] = /^(.*[/\\])?([^/\\?]+)(\?.*)?$/.exec(place) ?? [];
  if (file === undefined) return undefined;
  const url = /^[a-z]+:\/\//i.test(place);
  return { source: open(url ? folder + query : folder), file: url ? decodeURIComponent(file) : file + query };
}

/** Where the Hub has a model's files. */
const hubFolder = (id: string): string => `https://huggingface.co/${id}/resolve/main`;

/**
 * The source of a checkpoint by its place: what `open` finds there, or else, for `owner/name`, the Hub's model of that
 * name.
 */
export async function openPlace(place: string, open: (where: string) => Source, signal?: AbortSignal): Promise<Source> {
  const here = open(place);
  if (!hubId.test(place)) return here;
  if ((await here.size('config.json', signal).catch(() => undefined)) !== undefined) return here;
  await here.close();
  const hub = open(hubFolder(place));
  const size = await hub.size('config.json', signal).catch((cause: Error) => {
    checkCancelled(signal);
    throw new MMARError(
      'file',
      `${place} is not here, and the Hub was not reached (${cause.message}); give a path, a URL or a model of the Hub`,
      { cause },
    );
  });
  if (size !== undefined) return hub;
  throw new MMARError('file', `${place} is neither here nor a model of the Hub; give a path, a URL or owner/name`);
}
