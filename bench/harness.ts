// Times kernels at the model's own shapes: many replays in one submit, by the clock, so that what is measured is the
// kernel and what the engine adds to it. Operands are zeros, but where a kernel's time depends on them: there a case makes its own.
import { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';
import { median } from './measure.ts';

/** One size of a kernel. */
export interface Case {
  name: string;
  /** Multiplications and additions of one run. */
  flops?: number;
  /** Bytes that one run must at least read and write. */
  bytes: number;
  record: (p: Recorder, tensor: MakeTensor) => void;
}

/** A lasting operand of zeros, freed after the case. */
export type MakeTensor = (type: ElementType, ...shape: number[]) => Tensor;

export interface Result {
  kernel: string;
  case: string;
  ms: number;
  gflops?: number;
  gbs: number;
}

const sampleMs = 40,
  mostRuns = 400,
  samples = 5,
  leastSamples = 3,
  enoughMs = 600;

async function measure(device: Device, kernel: string, { name, flops, bytes, record }: Case): Promise<Result> {
  const operands: Tensor[] = [];
  const program = await device.record(name, (p) =>
    record(p, (type, ...shape) => {
      operands.push(device.tensor('operand', type, shape));
      return operands.at(-1)!;
    }),
  );
  const time = async (runs: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < runs; i++) await device.queue.run(program);
    await device.queue.idle();
    return (performance.now() - start) / runs;
  };
  await time(1); // pages are touched, and drivers that compile late have done so
  const runs = Math.min(mostRuns, Math.max(1, Math.round(sampleMs / (await time(2)))));
  const times: number[] = [];
  for (
    let total = 0;
    times.length < samples && !(times.length >= leastSamples && total > enoughMs);
    total += times.at(-1)! * runs
  )
    times.push(await time(runs));
  program.destroy();
  for (const t of operands) device.release(t);
  const ms = median(times);
  return { kernel, case: name, ms, gflops: flops && flops / ms / 1e6, gbs: bytes / ms / 1e6 };
}

/** Runs all cases and prints a line each, or all as JSON. */
export async function runBenches(
  benches: { kernel: string; cases: Case[] }[],
  adapterName: string | undefined,
  json: boolean,
): Promise<void> {
  const { adapter, name } = await nodeAdapter(adapterName),
    device = await Device.open(adapter),
    results: Result[] = [];
  const width = Math.max(...benches.map(({ kernel }) => kernel.length));
  if (!json) console.log(`${name}\n${'kernel'.padEnd(width)}        ms   GFLOP/s      GB/s  case`);
  for (const { kernel, cases } of benches) {
    for (const c of cases) {
      const r = await measure(device, kernel, c);
      results.push(r);
      if (!json)
        console.log(
          `${kernel.padEnd(width)} ${r.ms.toFixed(3).padStart(9)} ${(r.gflops?.toFixed(2) ?? '').padStart(9)} ${r.gbs.toFixed(2).padStart(9)}  ${r.case}`,
        );
    }
  }
  if (json) console.log(JSON.stringify({ adapter: name, results }, null, 1));
  device.destroy();
}
