import type { Device } from './device.ts';
import { roundUp, type Tensor } from './tensor.ts';

/** A piece of the host's memory that the device copies from. */
interface Slot {
  buffer: GPUBuffer;
  /** As much of it as was asked for. */
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Uploads through a few mapped buffers that are used again and again: rows are made where the device reads them, and no
 * memory is asked for as one goes. `take` waits until a buffer is free, which keeps the host from running ahead.
 */
export class Uploads {
  /** Mapped. */
  private readonly free: GPUBuffer[] = [];
  private readonly waiting: ((buffer: GPUBuffer) => void)[] = [];
  private readonly buffers = new Set<GPUBuffer>();

  constructor(
    private readonly device: Device,
    private readonly slots: number,
    private readonly slotBytes: number,
  ) {}

  /** The memory for that many bytes; what stood there before is still there. */
  async take(bytes: number): Promise<Slot> {
    let buffer = this.free.pop();
    if (!buffer)
      buffer =
        this.buffers.size < this.slots
          ? this.make(Math.max(bytes, this.slotBytes))
          : await new Promise<GPUBuffer>((resolve) => this.waiting.push(resolve));
    if (buffer.size < bytes) {
      // a single row may be longer than a slot
      this.drop(buffer);
      buffer = this.make(bytes);
    }
    // No more than is asked for: engines count what is mapped as memory of theirs, and collect garbage to have it back. Of a
    // device that was lost or closed nothing is mapped; whoever waited looks at the device next.
    const range = buffer.mapState === 'mapped' ? buffer.getMappedRange(0, roundUp(bytes, 16)) : new ArrayBuffer(bytes);
    return { buffer, bytes: new Uint8Array(range, 0, bytes) };
  }

  /** Copies the first `rows` rows of a slot into a tensor from `firstRow` on, in the order of the queue; the slot returns by itself. */
  send(slot: Slot, tensor: Tensor, firstRow: number, rows: number): void {
    const { gpu } = this.device,
      { buffer } = slot,
      { rowBytes } = tensor;
    this.device.queue.submit();
    buffer.unmap();
    const encoder = gpu.createCommandEncoder({ label: `upload ${tensor.name}` });
    for (const { firstRow: start, rows: count, buffer: target } of tensor.pieces) {
      const from = Math.max(firstRow, start),
        to = Math.min(firstRow + rows, start + count);
      if (from < to)
        encoder.copyBufferToBuffer(
          buffer,
          (from - firstRow) * rowBytes,
          target!,
          (from - start) * rowBytes,
          (to - from) * rowBytes,
        );
    }
    gpu.queue.submit([encoder.finish()]);
    const give = () => this.give(buffer);
    buffer.mapAsync(GPUMapMode.WRITE).then(give, give);
  }

  /** Lets go of all slots; none may be written to any more. */
  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
    this.buffers.clear();
  }

  private make(bytes: number): GPUBuffer {
    const buffer = this.device.gpu.createBuffer({
      label: 'upload',
      size: roundUp(bytes, 16),
      usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC,
      mappedAtCreation: true,
    });
    this.buffers.add(buffer);
    return buffer;
  }

  private drop(buffer: GPUBuffer): void {
    this.buffers.delete(buffer);
    buffer.destroy();
  }

  private give(buffer: GPUBuffer): void {
    const next = this.waiting.shift();
    if (next) next(buffer);
    else this.free.push(buffer);
  }
}
