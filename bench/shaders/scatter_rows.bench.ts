import { plainIndex, scatterRows } from '../../shaders/scatter_rows.ts';
import type { Case } from '../harness.ts';

const scatter = (part: string, rows: number, cols: number, n: number): Case => ({
  name: `${part}: [${rows}, ${cols}] into [${n}, ${cols}]`,
  bytes: 2 * rows * cols + 4 * rows * cols,
  record: (p, t) => {
    const index = t('u32', rows);
    const values = Uint32Array.from({ length: index.pitch }, (_, i) => (i < rows ? (i * 7919) % n : 0));
    p.device.write(index, new Uint8Array(values.buffer));
    scatterRows(p, t('bf16', rows, cols), plainIndex(index), t('f32', n, cols));
  },
});

export const cases = [scatter('emoji hidden tokens', 1024, 192, 256), scatter('0.5B words', 512, 896, 151936)];
