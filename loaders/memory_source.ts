import { checkCancelled, MMARError } from '../base/error.ts';
import type { Source } from '../base/platform.ts';

/** Files that are here already: bytes in memory, or those that somebody picked in a page (a `File` is a `Blob`). */
export function memorySource(name: string, files: Map<string, Uint8Array | Blob>): Source {
  const length = (content: Uint8Array | Blob) => (content instanceof Blob ? content.size : content.length);
  return {
    name,
    async size(file) {
      const content = files.get(file);
      return content && length(content);
    },
    async read(file, offset, into, signal) {
      checkCancelled(signal);
      const content = files.get(file);
      if (!content) throw new MMARError('file', `${name} has no ${file}: check the name`);
      const end = offset + into.length;
      if (end > length(content)) {
        throw new MMARError('file', `${file} in ${name} ends at byte ${length(content)}, before ${end}: get it again`);
      }
      if (!(content instanceof Blob)) return into.set(content.subarray(offset, end));
      const bytes = await content
        .slice(offset, end)
        .arrayBuffer()
        .catch((cause: unknown) => {
          throw new MMARError('file', `${file} in ${name} can no longer be read: pick it again`, { cause });
        });
      into.set(new Uint8Array(bytes));
    },
    async close() {},
  };
}
