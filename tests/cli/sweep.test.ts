// `mmar sweep`: every value in its own labelled picture, figures to the first.
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readPicture } from '../../cli/files.ts';
import { valuesOf } from '../../cli/value_list.ts';
import { count, real } from '../../cli/values.ts';
import { failed, mmar, mmarJSON, newFolder } from './mmar.ts';

interface Sweep {
  file: string;
  pictures: { settings: Record<string, unknown>; psnr?: number; answer?: string }[];
}

test('values are lists and ranges', () => {
  assert.equal(valuesOf(count(1))('--steps', '1..4,9'), [1, 2, 3, 4, 9]);
  assert.equal(valuesOf(real(0))('--eta', '0..1..0.25'), [0, 0.25, 0.5, 0.75, 1]);
  assert.equal(valuesOf(real(0))('--temperature', '0.8..1.2..0.1'), [0.8, 0.9, 1, 1.1, 1.2]);
  for (const wrong of ['4..1', '1..', '1..2..3..4', '0..1..0'])
    assert.throws(
      () => valuesOf(real(0))('--cfg', wrong),
      (e: Error) => /--cfg has .*give a range/.test(e.message),
    );
});

test('one option: a row of pictures, the steps that fall among them', async () => {
  const folder = newFolder();
  const words = ['sweep', 'red apple', '--seed', '1', '--iterations', '4', '--steps', '12,12:3', '--describe'];
  const { file, pictures } = await mmarJSON<Sweep>(words, folder);
  assert.equal(
    pictures.map(({ settings }) => settings),
    [{ steps: 12 }, { steps: '12:3' }],
  );
  assert.is(pictures[0].psnr, undefined);
  assert.ok(pictures[1].psnr! > 25, `${pictures[1].psnr} dB`);
  assert.is(pictures[0].answer, 'red apple');
  const { width, height } = await readPicture(path.join(folder, file));
  assert.equal([width, height], [128, 74]);
});

test('two options: a row for each value of the first', async () => {
  const folder = newFolder();
  const words = 'sweep rocket --seed 1,2 --cfg 1..3 --iterations 2 --steps 2 -o s.png';
  const { pictures } = await mmarJSON<Sweep>(words.split(' '), folder);
  assert.equal(
    pictures.map(({ settings: { seed, cfg } }) => [seed, cfg]),
    [
      [1, 1],
      [1, 2],
      [1, 3],
      [2, 1],
      [2, 2],
      [2, 3],
    ],
  );
  const { width, height } = await readPicture(path.join(folder, 's.png'));
  assert.equal([width, height], [192, 148]);
});

test('wrong use is said in one line', async () => {
  failed(await mmar(['sweep', 'x', '--cfg', '3']), 2, /no options have several values; .*such as --cfg 1\.\.10/);
  const three = ['--cfg', '1,2', '--steps', '2,3', '--seed', '1,2'];
  failed(await mmar(['sweep', 'x', ...three]), 2, /3 options have several values; give them to one, or to two/);
  failed(await mmar(['sweep', 'x', '--cfg', '1..b']), 2, /--cfg has "1\.\.b"; give a range/);
  failed(await mmar(['sweep', 'x', '--steps', '10,0']), 2, /--steps is "0"/);
});

test.run();
