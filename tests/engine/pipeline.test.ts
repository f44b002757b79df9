import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { unroll } from '../../engine/pipeline.ts';

test('lines are repeated with the index, loops nest, words stand for themselves', () => {
  assert.is(unroll('a\n#for i in 3\nx#i = #iu;\n#endfor\nb\n'), 'a\nx0 = 0u;\nx1 = 1u;\nx2 = 2u;\nb\n');
  assert.is(
    unroll('#for s in x low\n#for i in 2\n#s[#i] #s_pitch\n#endfor\n#endfor\n'),
    'x[0] x_pitch\nx[1] x_pitch\nlow[0] low_pitch\nlow[1] low_pitch\n',
  );
});

test('nothing is repeated zero times', () => assert.is(unroll('a\n#for i in 0\nx#i\n#endfor\nb\n'), 'a\nb\n'));

test('code without loops stays as it is', () => assert.is(unroll('let a = 1;\n'), 'let a = 1;\n'));

test.run();
