// Between the host's memory and a device's, and from tensor to tensor: each in the order of the queue.
import { MMARError } from '../base/error.ts';
import type { Device } from './device.ts';
import type { Tensor } from './tensor.ts';

/** Writes whole rows (as `packRows` lays them out) from `firstRow` on; what was recorded before runs before. */
export function write(device: Device, tensor: Tensor, rows: Uint8Array<ArrayBuffer>, firstRow = 0): void {
  device.queue.submit();
  const endRow = firstRow + rows.byteLength / tensor.rowBytes;
  for (const { firstRow: start, rows: count, buffer } of tensor.pieces) {
    const from = Math.max(firstRow, start),
      to = Math.min(endRow, start + count);
    if (from >= to) continue;
    const source = rows.subarray((from - firstRow) * tensor.rowBytes, (to - firstRow) * tensor.rowBytes);
    device.gpu.queue.writeBuffer(buffer!, (from - start) * tensor.rowBytes, source);
  }
}

/** Copies a tensor into another of its shape and type; what was recorded before runs before. */
export function copy(device: Device, from: Tensor, to: Tensor): void {
  if (from.type !== to.type || from.rows !== to.rows || from.cols !== to.cols)
    throw new MMARError('shape', `copy: ${from} into ${to}; want one shape and type`);
  device.queue.submit();
  encode(device, `copy ${from.name}`, (encoder) => {
    from.pieces.forEach(({ buffer, rows }, i) => {
      encoder.copyBufferToBuffer(buffer!, 0, to.pieces[i].buffer!, 0, rows * from.rowBytes);
    });
  });
}

/** Lays tensors, each in one piece, side by side over all of `to`, byte for byte; what was recorded before runs before. */
export function join(device: Device, from: readonly Tensor[], to: Tensor): void {
  const bytes = from.reduce((sum, tensor) => sum + tensor.bytes, 0);
  if (bytes !== to.bytes) throw new MMARError('shape', `join: ${bytes} bytes of ${from.join(', ')} into ${to}`);
  device.queue.submit();
  encode(device, `join ${to.name}`, (encoder) => {
    let at = 0;
    for (const tensor of from) {
      encoder.copyBufferToBuffer(tensor.buffer, 0, to.buffer, at, tensor.bytes);
      at += tensor.bytes;
    }
  });
}

/** The rows of a tensor as they lie in memory (see `packRows`); what was recorded before runs before. */
export async function readRows(device: Device, tensor: Tensor): Promise<ArrayBuffer> {
  device.queue.submit();
  device.check();
  const staging = device.gpu.createBuffer({
    label: `read ${tensor.name}`,
    size: tensor.bytes,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  encode(device, staging.label, (encoder) => {
    for (const { firstRow, rows, buffer } of tensor.pieces)
      encoder.copyBufferToBuffer(buffer!, 0, staging, firstRow * tensor.rowBytes, rows * tensor.rowBytes);
  });
  try {
    await staging.mapAsync(GPUMapMode.READ);
    return staging.getMappedRange().slice(0);
  } catch (cause) {
    await Promise.resolve(); // the reason of a lost device arrives with the next task
    device.check();
    throw new MMARError('device', `reading ${tensor} failed: ${(cause as Error).message.split('\n')[0]}`, { cause });
  } finally {
    staging.destroy();
  }
}

/** Sends commands of their own. */
function encode({ gpu }: Device, label: string, commands: (encoder: GPUCommandEncoder) => void): void {
  const encoder = gpu.createCommandEncoder({ label });
  commands(encoder);
  gpu.queue.submit([encoder.finish()]);
}
