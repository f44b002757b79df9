import { activation, activationBackward } from '../../shaders/activation.ts';
import type { Case } from '../harness.ts';

const act = (part: string, rows: number, cols: number, name: 'gelu' | 'silu', back: boolean): Case => ({
  name: `${part}: ${name}${back ? ', back' : ''} [${rows}, ${cols}]`,
  bytes: (back ? 3 : 2) * 2 * rows * cols,
  record: (p, t) => {
    const x = t('bf16', rows, cols);
    if (back) activationBackward(p, x, name, t('bf16', rows, cols));
    else activation(p, x, name);
  },
});

export const cases = [false, true].flatMap((back) => [
  act('emoji vit', 512, 768, 'gelu', back),
  act('emoji diffusion', 1024, 1024, 'silu', back),
]);
