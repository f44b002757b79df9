// Who has a turn when: order, waiting that is given up, streams that lend, what close waits for.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { Turns } from '../../model/turns.ts';

const later = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: MMARError) => error.code,
  );
const closed = new MMARError('usage', 'closed');

/** Notes when its steps are made and when it ends. */
async function* steps(name: string, n: number, events: string[], ms = 0): AsyncGenerator<number> {
  try {
    for (let i = 0; i < n; i++) {
      await later(ms);
      events.push(`${name}${i}`);
      yield i;
    }
  } finally {
    events.push(`${name} ends`);
  }
}

const collect = async (stream: AsyncGenerator<number>) => {
  for await (const _ of stream);
};

test('one after another, in the order in which they came; a reader that only collects is not interrupted', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const one = collect(turns.stream(() => steps('a', 3, events)));
  const two = turns.during(async () => void events.push('b'));
  const three = collect(turns.stream(() => steps('c', 1, events)));
  await Promise.all([one, two, three]);
  assert.equal(events, ['a0', 'a1', 'a2', 'a ends', 'b', 'c0', 'c ends']);
});

test('who waits is stopped at once, and the next one has its turn', async () => {
  const turns = new Turns();
  const done = await turns.take();
  const stop = new AbortController();
  const waiting = codeOf(turns.take(stop.signal));
  let began = false;
  const next = turns.take().then((end) => {
    began = true;
    end();
  });
  stop.abort();
  assert.is(await waiting, 'cancelled');
  assert.is(began, false);
  done();
  done(); // a second time does nothing
  await next;
  assert.is(await codeOf(turns.take(AbortSignal.abort())), 'cancelled');
  const again = await turns.take();
  again();
});

test('a stream whose reader stays away lends its turn and goes on behind the one that took it, before others', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const stream = turns.stream(() => steps('a', 2, events));
  await stream.next();
  const inner = collect(turns.stream(() => steps('b', 3, events, 40)));
  const last = turns.during(async () => void events.push('c'));
  await later(60); // longer than it is patient
  const { value } = await stream.next();
  assert.is(value, 1);
  assert.equal(events, ['a0', 'b0', 'b1', 'b2', 'b ends', 'a1']);
  assert.is((await stream.next()).done, true);
  await Promise.all([inner, last]);
  assert.equal(events.slice(-2), ['a ends', 'c']);
});

test('close waits for what runs, refuses what waits and what comes', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const running = collect(turns.stream(() => steps('a', 3, events)));
  const waiting = codeOf(turns.take());
  const closing = turns.close(closed).then(() => events.push('closed'));
  assert.is(await waiting, 'usage');
  assert.is(await codeOf(turns.take()), 'usage');
  await Promise.all([running, closing]);
  assert.equal(events, ['a0', 'a1', 'a2', 'a ends', 'closed']);
  await turns.close(closed);
});

test('close ends streams that wait for their readers, also one that has lent its turn, and tells them', async () => {
  const turns = new Turns();
  const events: string[] = [];
  const outer = turns.stream(() => steps('a', 5, events));
  await outer.next();
  const inner = turns.stream(() => steps('b', 5, events));
  await inner.next(); // the outer one has lent it
  await turns.close(closed);
  assert.equal(events.sort(), ['a ends', 'a0', 'b ends', 'b0']);
  assert.is(await codeOf(outer.next()), 'usage');
  assert.is(await codeOf(inner.next()), 'usage');
});

test('a stream that is left, fails or is stopped gives its turn back', async () => {
  const turns = new Turns();
  for await (const _ of turns.stream(() => steps('a', 3, []))) break;
  // biome-ignore lint/correctness/useYield: it fails before
  async function* failing(): AsyncGenerator<number> {
    throw new MMARError('device', 'lost');
  }
  assert.is(await codeOf(collect(turns.stream(failing))), 'device');
  const end = await turns.take();
  end();
  await turns.close(closed);
});

test.run();
