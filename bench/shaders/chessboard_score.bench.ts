import { chessboardScore } from '../../shaders/chessboard_score.ts';
import type { Case } from '../harness.ts';

const points = 1_000_000;

export const cases: Case[] = [
  {
    name: `${points} points`,
    bytes: 16 * points,
    record: (p, t) => void chessboardScore(p, t('f32', points / 2, 4), t('f32', points / 2, 4), points),
  },
];
