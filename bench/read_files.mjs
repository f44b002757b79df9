// node bench/read_files.mjs one|new FILES: seconds to read files from their starts to their ends, 8 MB at a time, as JSON: into
// one buffer again and again, or each time into new memory.
import fs from 'node:fs';

const [into, ...files] = process.argv.slice(2),
  kept = [],
  start = performance.now();
let bytes = 0,
  buffer = new Uint8Array(8 << 20);
for (const file of files) {
  const handle = fs.openSync(file, 'r');
  for (let got = 1; got; bytes += got) {
    if (into === 'new') {
      buffer = new Uint8Array(8 << 20);
      kept.push(buffer);
    }
    got = fs.readSync(handle, buffer);
  }
  fs.closeSync(handle);
}
console.log(JSON.stringify({ bytes, seconds: (performance.now() - start) / 1000 }));
