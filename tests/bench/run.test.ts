// A run of the benchmark on this adapter: a quick one of one kernel, names that there are none of, and the time it has.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { MMARError } from '../../base/error.ts';
import { runBench } from '../../bench/run.ts';
import { within } from '../../bench/within.ts';
import { device } from '../gpu.ts';

const about = { name: 'this', runtime: '', version: '' };

test('a quick run of one kernel has its rows, with shares of the limits', async () => {
  const { kernels, limits, model } = await runBench(device, about, {
    only: ['add_silu'],
    quick: true,
    until: { limits: 600, kernels: 600, model: 600 },
    config: 'emoji',
  });
  assert.ok(limits.fma_gflops > 0 && limits.read_gbps > 0);
  assert.ok(kernels.length > 0 && kernels.every(({ op, ms, share }) => op === 'add_silu' && ms > 0 && share! > 0));
  assert.equal(model, []);
});

test('what a quick run has no time for is named', async () => {
  const { kernels, limits, model, notes } = await runBench(device, about, {
    quick: true,
    until: { limits: 0, kernels: 0, model: 0 },
    config: 'emoji',
  });
  assert.equal([kernels, limits, model], [[], {}, []]);
  const said = notes.join('\n');
  for (const words of [/^limits: none;/m, /^kernels: 0 of the \d+ shapes of emoji; .*matmul/m, /^emoji: left out/m])
    assert.match(said, words);
});

test('shapes of one’s own are measured in every variant: no note of a quick run says otherwise', async () => {
  const { notes } = await runBench(device, about, {
    only: ['matmul'],
    quick: true,
    until: { limits: 0, kernels: 0, model: 0 },
    shapes: [[1, 16, 16]],
  });
  assert.match(notes.join(), /0 of the 1 shapes of one’s own/);
  assert.not.match(notes.join(), /variant/);
});

test('an unknown kernel is refused with those that there are', async () => {
  const failure = await runBench(device, about, { only: ['matmull'], quick: true, config: 'emoji' }).catch((e) => e);
  assert.is((failure as MMARError).code, 'usage');
  assert.match(failure.message, /matmull.*matmul, .*rms_norm/);
});

test('work is told when its time is over, any fraction of a millisecond to come or past, or when its caller stops', async () => {
  const { signal: never } = new AbortController();
  const told = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve())));
  for (const ms of [-1234.56, -0.1, 0.49, 20.3]) {
    const start = performance.now();
    await within(ms, never, told);
    assert.ok(performance.now() - start >= ms - 2);
  }
  await within(1e6, AbortSignal.abort(), told);
  assert.is(await within(1e6, never, async () => 7), 7);
});

test.run();
