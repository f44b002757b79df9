// Whether `mmar bench --compare` tells a kernel made 1.3 times slower from the same kernel as it was, and two runs of the
// same apart never. MMAR_ROUNDS: how many of each.
import { compareReports } from '../../bench/compare.ts';
import { planted } from '../bench/planted.ts';
import { device } from '../gpu.ts';

const rounds = Number(process.env.MMAR_ROUNDS ?? 20),
  { run } = await planted(device),
  told = { same: 0, slower: 0 };
for (let round = 1; round <= rounds; round++) {
  const before = await run(1),
    [same] = compareReports(before, await run(1)).changes,
    [slower] = compareReports(before, await run(1.3)).changes;
  if (same.verdict === 'same') told.same++;
  if (slower.verdict === 'worse') told.slower++;
  const of = ({ ratio, noise, verdict }: typeof same): string =>
    `${ratio.toFixed(3)}, noise ${noise.toFixed(3)}: ${verdict}`;
  console.log(`${round}: the same ${of(same)}; 1.3 times slower ${of(slower)}`);
}
console.log(`${told.same} of ${rounds} called the same, ${told.slower} of ${rounds} called worse`);
process.exit(told.same === rounds && told.slower === rounds ? 0 : 1);
