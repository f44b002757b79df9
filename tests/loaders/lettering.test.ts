import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Picture } from '../../base/platform.ts';
import { labelled } from '../../loaders/lettering.ts';

const blank = (width: number, height: number): Picture => ({
  width,
  height,
  data: new Uint8ClampedArray(4 * width * height).fill(255),
});
/** The rows of a picture, '#' where it is dark. */
const rows = ({ width, height, data }: Picture) =>
  Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => (data[4 * (y * width + x)] < 128 ? '#' : '.')).join(''),
  );

test('words stand over the picture, in their own line', () => {
  assert.equal(rows(labelled(blank(12, 2), '1L')), [
    '............',
    '...#...#....',
    '..##...#....',
    '...#...#....',
    '...#...#....',
    '...#...#....',
    '...#...#....',
    '..###..#####',
    '............',
    '............',
    '............',
    '............',
  ]);
});

test('longer words are cut, characters that it lacks become a question mark, a scale enlarges', () => {
  const cut = labelled(blank(6, 1), 'LLLL');
  assert.equal([cut.width, cut.height], [6, 11]);
  assert.equal(rows(labelled(blank(6, 1), 'ψ')), rows(labelled(blank(6, 1), '?')));
  const large = labelled(blank(12, 1), 'L', 2);
  assert.is(large.height, 21);
  assert.is(rows(large).filter((row) => row.includes('#')).length, 14);
});

test.run();
