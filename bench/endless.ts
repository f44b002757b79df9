import type { Device } from '../engine/device.ts';
import { preprocess } from '../engine/preprocessor.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { faultAt, moduleOf, pipelineOf, type SourceFault } from './faults.ts';
import { guardLoops } from './loop_guard.ts';
import type { RecordedShape } from './shapes.ts';
import { workOf } from './work.ts';

/** How the guard binds what it writes. */
const flagLayout = 'w';

/** More turns than an invocation takes in an honest kernel: some times its share of all the work. */
export function turnsOf(shape: RecordedShape, { workgroups: [x, y = 1, z = 1] }: Candidate): number {
  const { flops = 0, bytes } = workOf(shape);
  return Math.min(2 ** 30, Math.max(2 ** 20, Math.ceil(Math.max(flops, bytes) / (8 * x * y * z))));
}

/** Runs a program with its loops guarded; tells the loop that reached so many turns. */
export async function endlessLoop(device: Device, { steps }: Program, turns: number): Promise<SourceFault | undefined> {
  const { gpu } = device,
    [{ dispatch, layout }] = steps,
    { code, places } = preprocess(dispatch.source, dispatch.constants);
  const module = moduleOf(device, 'yours, guarded', guardLoops(code, turns)),
    pipeline = await pipelineOf(device, module, [layout, flagLayout]).catch(() => undefined);
  if (!pipeline) return undefined; // no room for the guard: who runs it has a limit of time, too
  const flag = device.tensor('loop guard', 'u32', [1, 4]);
  try {
    const layout = device.pipelines.bindGroupLayout(flagLayout),
      entries = [{ binding: 0, resource: { buffer: flag.buffer } }],
      encoder = gpu.createCommandEncoder();
    encoder.clearBuffer(flag.buffer);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(1, gpu.createBindGroup({ layout, entries }));
    for (const { bindGroup, workgroups } of steps) {
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    gpu.queue.submit([encoder.finish()]);
    const words = new Uint32Array(await device.readRows(flag));
    const [turns, line] = words;
    const left = `this loop does not end: it was left after ${turns.toLocaleString('en')} turns`;
    return line ? faultAt(places[line - 1], left) : undefined;
  } finally {
    device.release(flag);
  }
}
