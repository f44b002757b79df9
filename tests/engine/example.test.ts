// examples/kernel.mjs, run as a user runs it: against the built package, by its name.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import '../gpu.ts'; // once an adapter
import { root } from '../cli/mmar.ts';

test("a kernel of one's own computes what it says", () => {
  execFileSync(process.execPath, ['setup.mjs'], { cwd: root, stdio: 'pipe' });
  const out = execFileSync(process.execPath, [path.join('examples', 'kernel.mjs')], { cwd: root, encoding: 'utf8' });
  const { product, softplus } = JSON.parse(out) as { product: number[]; softplus: number[] };
  assert.is(product.length, 4);
  assert.ok(new Set(product).size === 4 && product.every((v) => v !== 0));
  product.forEach((v, i) => {
    const want = Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
    assert.ok(Math.abs(softplus[i] - want) < 1e-5, `softplus(${v}) is ${softplus[i]}, not ${want}`);
  });
});

test.run();
