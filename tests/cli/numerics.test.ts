// `mmar numerics` as its users run it.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readPicture } from '../../cli/files.ts';
import { failed, mmar, mmarJSON, newFolder } from './mmar.ts';

interface ErrorRow {
  prediction: string | number;
  type: string;
  t: number;
  step_error: number;
  v_loss: number;
}

test('error prints the theory, and plots it', async () => {
  const folder = newFolder();
  const rows = await mmarJSON<ErrorRow[]>(['numerics', 'error', '--plot', 'e.svg'], folder);
  assert.is(rows.length, 3 * 3 * 1000);
  const last = rows.find(({ prediction, type, t }) => prediction === 'epsilon' && type === 'bf16' && t === 999)!;
  assert.ok(last.v_loss > 1e4 && last.step_error > 0.1);
  assert.ok(
    rows
      .filter((row) => row.prediction === 'v' && row.type === 'bf16')
      .every((row) => Math.abs(row.v_loss * 128 ** 2 - 1) < 1e-9),
  );
  assert.match(fs.readFileSync(path.join(folder, 'e.svg'), 'utf8'), /^<svg .*Eq\. 27.*<\/svg>\n$/s);
  const { stdout } = await mmar(['numerics', 'error', '--prediction', '2.2', '--type', 'f16', '--steps', '11']);
  assert.is(stdout.trim().split('\n').length, 12);
});

test('chessboard prints one object, the same for the same seed, and draws it', async () => {
  const folder = newFolder();
  const words = 'numerics chessboard --prediction v --type bf16 --steps 20 --eta 0 --samples 4000 --seed 1 --check 500';
  const one = await mmarJSON<Record<string, number>>([...words.split(' '), '--scatter', 's.png'], folder);
  assert.equal([one.prediction, one.type, one.steps, one.samples], ['v', 'bf16', 20, 4000]);
  assert.ok(one.wrong < 0.02 && one.drift > 0 && one.drift < 0.1);
  const { width, height } = await readPicture(path.join(folder, 's.png'));
  assert.equal([width, height], [320, 340]);
  const again = await mmarJSON<Record<string, number>>(words.split(' '), folder);
  assert.equal([again.wrong, again.drift, again.check], [one.wrong, one.drift, one.check]);
  const more = await mmarJSON<{ type: string }[]>([...words.split(' '), '--type', 'bf16,f32', '--class', '3'], folder);
  assert.equal(
    more.map(({ type }) => type),
    ['bf16', 'f32'],
  );
});

test("measure gives the rows of a checkpoint's own Diffusion MLP", async () => {
  const rows = await mmarJSON<ErrorRow[]>(['numerics', 'measure', '--steps', '3', '--type', 'bf16,f32']);
  assert.equal([...new Set(rows.map(({ t }) => t))], [0, 500, 999]);
  const of = (prediction: string, type: string, t: number) =>
    rows.find((row) => row.prediction === prediction && row.type === type && row.t === t)!;
  assert.is(of('v', 'f32', 500).v_loss, 0); // its output is f32
  // Nearest rounding leaves about a 23rd of Eq. 27's δ² for an output of unit size.
  const loss = of('v', 'bf16', 500).v_loss * 128 ** 2;
  assert.ok(loss > 0.02 && loss < 0.08, `${loss}`);
  assert.ok(of('epsilon', 'bf16', 999).v_loss > 1e4 * of('v', 'bf16', 999).v_loss);
});

test('chessboard --train learns once and draws in each way', async () => {
  const words =
    'numerics chessboard --train --prediction v --train-steps 3 --batch 32 --width 16 --samples 10 --steps 5,3 --skip 0,1';
  const rows = await mmarJSON<Record<string, number>[]>(words.split(' '));
  assert.equal(
    rows.map(({ steps, skip }) => [steps, skip]),
    [
      [5, 0],
      [5, 1],
      [3, 0],
      [3, 1],
    ],
  );
  for (const row of rows) {
    assert.equal([row.prediction, row.type, row.samples], ['v', 'bf16', 10]);
    assert.ok(row.loss > 0.5 && row.loss < 1.5 && row.astray <= row.wrong && row.wrong <= 1);
  }
});

test('wrong use is said in one line', async () => {
  const bad = (words: string, message: RegExp) => mmar(words.split(' ')).then((run) => failed(run, 2, message));
  await bad('numerics error --prediction w', /--prediction is "w"; give v, epsilon, x or an angle/);
  await bad('numerics error --type f8', /--type is "f8"; give bf16 or f16 or f32/);
  await bad('numerics chessboard --steps 10,2000', /--steps is "2000"; give a whole number from 1 to 1000/);
  await bad('numerics chessboard --train --type f16', /--train learns in bf16 or f32, not in f16/);
  await bad('numerics chessboard --train --steps 9,5 --skip 2,5', /--skip is 5; give less than --steps, which is 5/);
  await bad('numerics error --plot e.png', /writes \.svg here/);
});

test.run();
