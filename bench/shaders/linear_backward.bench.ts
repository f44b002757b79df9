import { Tape } from '../../engine/tape.ts';
import { add } from '../../shaders/add.ts';
import { linear } from '../../shaders/linear.ts';
import type { Case } from '../harness.ts';

/** A layer, its result and all of its gradients: the first product is a third of the work. */
const both = (part: string, m: number, k: number, n: number, { rank = 0, runs = 1 } = {}): Case => ({
  name: `${part}: [${m}, ${k}] × [${n}, ${k}]${rank ? `, PLoRA of rank ${rank} × ${runs}, W frozen` : ''}`,
  flops: 2 * m * (n * (rank ? 2 : 3) * k + 3 * rank * (n + runs * k)),
  bytes: 2 * m * (2 * k + 2 * n) + 2 * 2 * n * k + (rank ? 0 : 8 * n * k),
  record: (p, t) => {
    const of = (rows: number, cols: number) => ({ tensor: t('bf16', rows, cols), sink: t('f32', rows, cols) });
    const x = of(m, k),
      w = of(n, k),
      a = of(runs * rank, k),
      b = of(n, rank);
    const firstColumns = Array.from({ length: runs }, (_, i) => 4 * Math.floor((i * n) / runs / 4));
    const learned = [x, ...(rank ? [a, b] : [w])];
    p.tape = new Tape(p, new Map(learned.map(({ tensor, sink }) => [tensor, sink])), add);
    const lora = rank ? { a: a.tensor, b: b.tensor, scale: 1, firstColumns } : undefined;
    const y = linear(p, x.tensor, { weight: w.tensor, lora }, { lora: rank > 0 });
    const dy = t('bf16', m, n);
    const loss = p.composite(
      'loss',
      [y],
      () => p.tensor('loss', 'f32', [1]),
      () => p.tape!.give(y, dy),
    );
    p.tape.backward(loss, t('f32', 1));
  },
});

export const cases = [
  both('emoji diffusion mlp', 512, 256, 1024),
  both('emoji vit mlp', 512, 192, 768),
  both('emoji gate and up, image', 512, 192, 1024, { rank: 32, runs: 2 }),
  both('0.5B qkv, image', 256, 896, 1152, { rank: 512, runs: 3 }),
];
