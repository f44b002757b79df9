import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleCode } from '../../shaders/sample_code.ts';
import { device, numbers, run, shapeError, tensor } from '../gpu.ts';

const unset = 99999;

interface Draw {
  logits: number[][];
  uncond?: number[][];
  chosen: number[];
  uniform: number[];
  guidance: number;
  temperature: number;
}

/** The codes at all positions, and by row. */
async function draw({ logits, uncond, chosen, uniform, guidance, temperature }: Draw): Promise<number[][]> {
  const codes = tensor('u32', [uniform.length], Array(uniform.length).fill(unset));
  const drawn = tensor('u32', [chosen.length], Array(chosen.length).fill(unset));
  const all = [...logits, ...(uncond ?? [])];
  const given = {
    chosen: tensor('u32', [chosen.length], chosen),
    uniform: tensor('f32', [uniform.length], uniform),
    sampling: tensor('f32', [2], [guidance, temperature]),
  };
  const l = tensor('f32', [all.length, all[0].length], all.flat());
  await run((p) => sampleCode(p, l, given, codes, drawn, uncond ? 2 : 1));
  return [[...(await device.read(codes))], [...(await device.read(drawn))]];
}

/** The same in f64: the first code whose cumulative probability passes the number. */
function reference({ logits, uncond, chosen, uniform, guidance, temperature }: Draw): number[] {
  return logits.map((row, r) => {
    const l = uncond ? row.map((c, i) => uncond[r][i] + guidance * (c - uncond[r][i])) : row;
    const top = Math.max(...l);
    if (temperature === 0) return l.indexOf(top);
    const weights = l.map((x) => Math.exp((x - top) / temperature));
    let left = uniform[chosen[r]] * weights.reduce((a, b) => a + b);
    return weights.findIndex((w) => {
      left -= w;
      return left < 0;
    });
  });
}

const rowsOf = (n: number, width: number, seed: number) =>
  Array.from({ length: n }, (_, r) => [...numbers(width, 'f32', seed + r)].map((x) => Math.fround(5 * x)));

for (const codes of [1, 5, 64, 256, 1030])
  for (const temperature of [0, 0.3, 1, 2.5])
    for (const guided of [false, true])
      test(`${codes} codes at temperature ${temperature}${guided ? ', guided' : ''}`, async () => {
        const chosen = [9, 0, 4, 30, 17, 2, 3];
        const given = {
          logits: rowsOf(7, codes, 1),
          uncond: guided ? rowsOf(7, codes, 50) : undefined,
          chosen,
          uniform: [...numbers(36, 'f32', 99)].map((x) => Math.abs(x)),
          guidance: 2.5,
          temperature,
        };
        const [at, byRow] = await draw(given);
        const want = reference(given);
        assert.equal(byRow, want);
        assert.equal(
          chosen.map((position) => at[position]),
          want,
        );
        assert.is(at.filter((code) => code === unset).length, 36 - chosen.length, 'nothing else is written');
      });

test('the ends of the distribution, codes of no weight, and ties', async () => {
  const never = -1000;
  const row = [never, 0, never, 0, never];
  const at = async (uniform: number, temperature: number) =>
    (await draw({ logits: [row], chosen: [0], uniform: [uniform], guidance: 1, temperature }))[1][0];
  assert.equal([await at(0, 1), await at(0.49, 1), await at(0.51, 1), await at(1 - 2 ** -24, 1)], [1, 1, 3, 3]);
  assert.is(await at(0.9, 0), 1, 'the lowest of two that are equally likely');
});

test('shapes that do not fit are an error', async () => {
  const u32 = (n: number) => tensor('u32', [n], []);
  const given = { chosen: u32(2), uniform: tensor('f32', [4], []), sampling: tensor('f32', [2], []) };
  await shapeError((p) => sampleCode(p, tensor('f32', [3, 8], []), given, u32(4), u32(2), 1), /sample_code: .*\[3,8\]/);
  await shapeError((p) => sampleCode(p, tensor('bf16', [2, 8], []), given, u32(4), u32(2), 1), /sample_code/);
});

test.run();
