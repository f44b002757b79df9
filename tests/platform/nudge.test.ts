// A browser that looks at finished work only now and then, or when something is submitted: nobody waits for its next look.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { nudgeWhileWaiting } from '../../platform/browser_nudge.ts';

Object.assign(globalThis, { GPUBufferUsage: { MAP_READ: 1, MAP_WRITE: 2, COPY_DST: 8 } });

/** An adapter whose device looks at its work every `ms`, and at each submission where `heeds` says so; `submissions` counts these. */
function adapterOf(ms: number, heeds: boolean) {
  const waiting = new Set<() => void>(),
    seen = { submissions: 0, mapped: 0 };
  const look = (): void => {
    for (const done of waiting) done();
    waiting.clear();
  };
  const wait = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.add(resolve);
      setTimeout(look, ms);
    });
  const device = {
    queue: {
      onSubmittedWorkDone: wait,
      writeBuffer() {},
      submit() {
        seen.submissions++;
        if (heeds) look();
      },
    },
    createBuffer: () => ({
      mapAsync: async () => {
        await wait();
        seen.mapped++;
      },
      destroy() {},
    }),
    createComputePipelineAsync: wait,
  };
  const adapter = { requestDevice: async () => device } as unknown as GPUAdapter;
  nudgeWhileWaiting(adapter);
  return { adapter, seen };
}

async function took(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

test('a device that looks rarely is nudged until it answers, for work and for mappings, and no longer', async () => {
  const { adapter, seen } = adapterOf(400, true),
    device = await adapter.requestDevice();
  assert.ok((await took(() => device.queue.onSubmittedWorkDone())) < 200);
  const buffer = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ });
  assert.ok((await took(() => buffer.mapAsync(1))) < 200);
  assert.is(seen.mapped, 1);
  const { submissions } = seen;
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.is(seen.submissions, submissions);
});

test('a device that answers at once is left as it is', async () => {
  const { adapter, seen } = adapterOf(0, false),
    device = await adapter.requestDevice(),
    { submissions } = seen;
  await device.queue.onSubmittedWorkDone();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.is(seen.submissions, submissions);
});

test.run();
