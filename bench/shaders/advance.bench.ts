import { advance } from '../../shaders/advance.ts';
import type { Case } from '../harness.ts';

export const cases: Case[] = [
  { name: 'a counter: what a dispatch costs at least', bytes: 8, record: (p, t) => advance(p, t('u32', 1), 1) },
];
