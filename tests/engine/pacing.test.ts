// How much work the queue sends at once, on a device whose time is told by hand.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pace } from '../../engine/pace.ts';
import type { Program } from '../../engine/program.ts';
import { type Drive, Queue } from '../../engine/queue.ts';

/** A queue over a device on which dispatch number i takes `cost(i)` seconds; what was submitted, in dispatches. */
function driven(cost: (i: number) => number, drive: Drive) {
  const submitted: { dispatches: number; seconds: number }[] = [];
  let now = 0,
    recorded = 0,
    ran = 0,
    waiting = 0;
  const pass = { setPipeline() {}, setBindGroup() {}, end() {}, dispatchWorkgroups: () => recorded++ };
  const gpu = {
    createCommandEncoder: () => ({ beginComputePass: () => pass, finish: () => ({}) }),
    queue: {
      submit() {
        const seconds = Array.from({ length: recorded }, () => cost(ran++)).reduce((a, b) => a + b, 0);
        submitted.push({ dispatches: recorded, seconds });
        waiting += seconds;
        recorded = 0;
      },
      async onSubmittedWorkDone() {
        await undefined;
        now += waiting + (drive.answer ?? 0);
        waiting = 0;
      },
    },
  };
  const queue = new Queue(gpu as unknown as GPUDevice, () => {}, { ...drive, clock: () => now });
  return { queue, submitted };
}

const program = (steps: number): Program =>
  ({
    name: 'program',
    steps: Array.from({ length: steps }, () => ({ part: 'part', workgroups: [1, 1, 1] })),
    pace: new Pace(),
    begin() {},
    end() {},
  }) as unknown as Program;

const hardware = { slice: 0.02, answer: 0.0002 },
  each = 0.0001;

test('slices are as long as they are wanted', async () => {
  for (const [drive, least, most] of [
    [hardware, 0.016, 0.03],
    [{ slice: 0.1, answer: 0.0002 }, 0.08, 0.11],
  ] as const) {
    const { queue, submitted } = driven(() => 4 * each, drive);
    await queue.run(program(5000));
    await queue.idle();
    for (const { seconds } of submitted.slice(3, -1))
      assert.ok(seconds >= least && seconds <= most, `a slice of ${seconds} s with ${JSON.stringify(drive)}`);
  }
});

test('an hour asleep in the middle of a slice is forgotten', async () => {
  const { queue, submitted } = driven((i) => (i === 3000 ? 3600 : each), hardware);
  await queue.run(program(9000));
  await queue.idle();
  const after = submitted.slice(submitted.findIndex(({ seconds }) => seconds > 3000) + 1, -1);
  for (const { dispatches } of after) assert.ok(dispatches >= 100, `${dispatches} dispatches a slice after it`);
});

test('a device that was slow for long and is fast again is driven as a fast one', async () => {
  const { queue, submitted } = driven((i) => (i < 2000 ? 100 * each : each), hardware),
    paced = program(20_000);
  await queue.run(paced);
  await queue.idle();
  assert.ok(submitted.at(-2)!.dispatches >= 100, `${submitted.at(-2)!.dispatches} dispatches a slice at the end`);
});

test('an answer that takes longer than a slice does not make slices ever shorter', async () => {
  const { queue, submitted } = driven(() => 4 * each, { slice: 0.02, answer: 0.03 });
  await queue.run(program(9000));
  await queue.idle();
  assert.ok(submitted.at(-2)!.dispatches >= 200, `${submitted.at(-2)!.dispatches} dispatches a slice at the end`);
});

test('a device that does not answer gets few dispatches a submission', async () => {
  const { queue, submitted } = driven(() => each, { slice: 0.02, answer: undefined });
  await queue.run(program(1000));
  await queue.idle();
  assert.is(Math.max(...submitted.map(({ dispatches }) => dispatches)), 32);
});

test('a program shorter than a slice is not begun once its caller has stopped', async () => {
  const { queue, submitted } = driven(() => each, hardware),
    stop = new AbortController();
  await queue.run(program(4), stop.signal);
  stop.abort();
  const failure = await queue.run(program(4), stop.signal).catch((error) => error);
  assert.is(failure?.code, 'cancelled');
  await queue.idle();
  assert.equal(
    submitted.map(({ dispatches }) => dispatches).filter((n) => n),
    [4],
  );
});

test.run();
