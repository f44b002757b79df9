// What decays: matrices do, vectors do not.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Optimiser } from '../../training/optimiser.ts';
import { device, tensor } from '../gpu.ts';

test('a step without gradients leaves a vector, and shrinks a matrix by the rate times the decay', async () => {
  const matrix = tensor('f32', [2, 4], new Array(8).fill(2)),
    vector = tensor('f32', [4], new Array(4).fill(2)),
    learned = [matrix, vector].map((one, i) => ({ tensor: one, blocks: [], decays: i === 0 })),
    settings = { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.5, clip: 1, ema: 0.99 };
  const optimiser = new Optimiser(device, learned, settings);
  await optimiser.begin();
  optimiser.prepare(0, 0.1);
  const program = await device.record('step', (p) => void optimiser.record(p));
  await device.queue.run(program);
  await device.queue.idle();
  for (const value of await device.read(matrix)) assert.ok(Math.abs(value - 1.9) < 1e-6, `${value}`);
  assert.equal([...(await device.read(vector))], [2, 2, 2, 2]);
  program.destroy();
  await optimiser.release();
});

test.run();
