import { checkCancelled } from '../base/error.ts';
import type { Device } from '../engine/device.ts';

/** Bringing memory to the device and back: ms of each copy of so many bytes. */
export async function transfers(
  { gpu }: Device,
  signal?: AbortSignal,
): Promise<{ bytes: number; upload: number[]; readback: number[] }> {
  const bytes = 2 ** 24,
    host = new Uint8Array(bytes).fill(1),
    target = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC }),
    staging = gpu.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const upload = async (): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < 4; i++) gpu.queue.writeBuffer(target, 0, host);
    await gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 4;
  };
  const readback = async (): Promise<number> => {
    const start = performance.now(),
      encoder = gpu.createCommandEncoder();
    encoder.copyBufferToBuffer(target, 0, staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    host.set(new Uint8Array(staging.getMappedRange()));
    staging.unmap();
    return performance.now() - start;
  };
  try {
    return { bytes, upload: await repeat(60, upload, signal), readback: await repeat(60, readback, signal) };
  } finally {
    target.destroy();
    staging.destroy();
  }
}

/** Times of so many runs, without the first; of six at least, and else of what half a second has room for. */
async function repeat(count: number, run: () => Promise<number>, signal?: AbortSignal): Promise<number[]> {
  await run();
  const times: number[] = [],
    start = performance.now();
  while (times.length < count) {
    checkCancelled(signal);
    times.push(await run());
    if (times.length >= 6 && performance.now() - start > 500) break;
  }
  return times;
}
