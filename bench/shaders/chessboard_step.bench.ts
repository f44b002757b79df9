import { chessboardStep } from '../../shaders/chessboard_step.ts';
import type { Case } from '../harness.ts';

const step = (points: number, noisy: boolean): Case => ({
  name: `${points} points, all cells${noisy ? ', with noise' : ''}`,
  bytes: 2 * 8 * points,
  record: (p, t) => {
    const tables = { steps: t('f32', 100, 24), step: t('u32', 1), seed: t('u32', 2) };
    chessboardStep(p, t('f32', points / 2, 4), tables, { type: 'bf16', noisy });
  },
});

export const cases = [step(10_000, false), step(1_000_000, false), step(1_000_000, true)];
