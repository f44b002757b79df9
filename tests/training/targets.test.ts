// Cross-entropy in chunks: the loss and gradient that it has in f64, and never more logits than a chunk's.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Tape } from '../../engine/tape.ts';
import type { Tensor } from '../../engine/tensor.ts';
import { Workspace } from '../../engine/workspace.ts';
import { add } from '../../shaders/add.ts';
import { linear } from '../../shaders/linear.ts';
import { Targets } from '../../training/targets.ts';
import { close, device, numbers, run, tensor } from '../gpu.ts';

const [rows, width, classes] = [9, 8, 1003],
  x = numbers(rows * width, 'f32', 1),
  w = numbers(classes * width, 'f32', 2),
  targets = [3, 0, 8, 5, 1, 2, 7].map((row, i) => ({ row, id: (i * 331) % classes, weight: 0.1 + 0.05 * i }));

/** Loss and gradient of x in f64. */
function reference(): { loss: number; dx: Float64Array } {
  const dx = new Float64Array(rows * width);
  let loss = 0;
  for (const { row, id, weight } of targets) {
    const logits = Float64Array.from({ length: classes }, (_, c) =>
        Array.from({ length: width }, (_, k) => x[row * width + k] * w[c * width + k]).reduce((a, b) => a + b),
      ),
      sum = logits.reduce((all, logit) => all + Math.exp(logit), 0);
    loss += weight * (Math.log(sum) - logits[id]);
    for (let c = 0; c < classes; c++)
      for (let k = 0; k < width; k++)
        dx[row * width + k] += weight * (Math.exp(logits[c]) / sum - Number(c === id)) * w[c * width + k];
  }
  return { loss, dx };
}

for (const [most, chunk] of [
  [undefined, 8],
  [3 * 4 * 1004, 3],
] as const) {
  test(`${chunk} rows at once`, async () => {
    const workspace = new Workspace(device),
      losses = new Targets(workspace, targets.length + 1, classes, most), // a row that no target fills
      hidden = tensor('f32', [rows, width], x),
      weight = tensor('f32', [classes, width], w),
      dx = tensor('f32', [rows, width], new Float32Array(rows * width)),
      one = tensor('f32', [1], [1]);
    losses.write(targets);
    let widest = 0,
      made = 0;
    const loss = await run((p) => {
      p.tape = new Tape(p, new Map<Tensor, Tensor>([[hidden, dx]]), add);
      const loss = losses.record(p, hidden, (some) => linear(p, some, { weight }));
      p.tape.backward(loss, one);
      for (const { write } of p.dispatches)
        for (const t of write) if (t.cols === classes) widest = Math.max(widest, t.rows);
      made = p.dispatches.filter(({ name }) => name === 'cross_entropy').length;
      return loss;
    });
    const want = reference();
    close(loss, [want.loss], 1e-6);
    close(await device.read(dx), want.dx, 2e-6);
    assert.is(widest, chunk);
    assert.is(made, most ? 6 : 1);
    await workspace.release();
  });
}

test.run();
