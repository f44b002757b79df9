import { gate, gateBackward } from '../../shaders/gate.ts';
import type { Case } from '../harness.ts';

const gated = (part: string, rows: number, cols: number, back: boolean): Case => ({
  name: `${part}${back ? ', back' : ''}: [${rows}, ${cols}]`,
  bytes: (back ? 5 : 4) * 2 * rows * cols,
  record: (p, t) => {
    const x = t('bf16', rows, cols),
      other = t('bf16', rows, cols),
      columns = { tensor: t('bf16', rows, 3 * cols), first: cols };
    if (back) gateBackward(p, x, columns, other, t('bf16', rows, 3 * cols));
    else gate(p, x, columns, other);
  },
});

export const cases = [false, true].flatMap((back) => [
  gated('emoji diffusion', 1024, 256, back),
  gated('0.5B diffusion', 1024, 1024, back),
]);
