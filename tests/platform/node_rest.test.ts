// When the main thread rests while a software adapter works, by a clock of the test's own: not while the answer may be quick, and
// never for long.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { restWhileWaiting } from '../../platform/node_rest.ts';

/** The pauses, in ms, of a wait that ends after so many turns of the event loop, each of which takes so long. */
async function pauses(turns: number, turnMs: number): Promise<number[]> {
  const { now } = performance,
    { wait } = Atomics,
    slept: number[] = [];
  let time = 0;
  const work = async (): Promise<void> => {
    for (let i = 0; i < turns; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      time += turnMs;
    }
  };
  const device = { createBuffer: () => ({}), createComputePipelineAsync: work, queue: { onSubmittedWorkDone: work } };
  const adapter = { requestDevice: async () => device } as unknown as GPUAdapter;
  restWhileWaiting(adapter);
  const { queue } = await adapter.requestDevice();
  performance.now = () => time;
  Atomics.wait = (_: unknown, __: unknown, ___: unknown, ms?: number) => {
    slept.push(ms!);
    return 'timed-out';
  };
  try {
    await queue.onSubmittedWorkDone();
  } finally {
    performance.now = now;
    Atomics.wait = wait;
  }
  return slept;
}

test('what is answered within half a millisecond is not slept over', async () => {
  assert.equal(await pauses(8, 0.05), []);
});

test('longer work has the processor to itself, and is looked after every millisecond', async () => {
  const slept = await pauses(20, 2);
  assert.ok(slept.length >= 18, `${slept.length} pauses`);
  assert.ok(slept.every((ms, i) => ms <= 1 && ms >= (slept[i - 1] ?? 0)));
  assert.is(slept.at(-1), 1);
});

test.run();
