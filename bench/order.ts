import type { RecordedShape } from './shapes.ts';
import { workOf } from './work.ts';

/** A kernel of which one run takes longer, at the adapter's limits, takes most of a quick run's time to measure. */
const longMs = 100;

/**
 * One shape of each kernel first, the one that costs a picture most, then the others by that: a run that is cut short has
 * what matters. A quick run begins with the kernels that cost least, so that all have a row, and none with a shape of which
 * one run takes long.
 */
export function inOrder(shapes: RecordedShape[], limits: Record<string, number>, quick = false): RecordedShape[] {
  const costs = shapes.map((shape) => {
    const { flops = 0, bytes } = workOf(shape),
      { fma_gflops = 1, read_gbps = 1, dispatch_us = 0 } = limits;
    const ms = Math.max(flops / fma_gflops, bytes / read_gbps) / 1e6 + dispatch_us / 1000;
    return { shape, cost: Math.max(1, shape.calls) * ms, long: quick && ms > longMs };
  });
  costs.sort((a, b) => Number(a.long) - Number(b.long) || b.cost - a.cost);
  const names = new Set<string>(),
    leads = costs.filter(({ shape: { dispatch } }) => !names.has(dispatch.name) && names.add(dispatch.name)),
    others = costs.filter((one) => !leads.includes(one));
  if (quick) leads.reverse();
  return [...leads, ...others].map(({ shape }) => shape);
}
