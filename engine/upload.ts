import type { Device } from './device.ts';
import { roundUp, type Tensor } from './tensor.ts';

/** A piece of the host's memory that the device copies from. */
interface Slot {
  buffer: GPUBuffer;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Uploads through a few mapped buffers that are used again and again: rows are made where the device reads them, and no
 * memory is asked for as one goes. `take` waits until a buffer is free, which keeps the host from running ahead.
 */
export class Uploads {
  private readonly free: Slot[] = [];
  private readonly waiting: ((slot: Slot) => void)[] = [];
  private readonly buffers = new Set<GPUBuffer>();

  constructor(
    private readonly device: Device,
    private readonly slots: number,
    private readonly slotBytes: number,
  ) {}

  /** The memory for that many bytes; what stood there before is still there. */
  async take(bytes: number): Promise<Slot> {
    let slot = this.free.pop();
    if (!slot)
      slot =
        this.buffers.size < this.slots
          ? this.make(Math.max(bytes, this.slotBytes))
          : await new Promise<Slot>((resolve) => this.waiting.push(resolve));
    if (slot.bytes.length < bytes) {
      // a single row may be longer than a slot
      this.drop(slot);
      slot = this.make(bytes);
    }
    return slot;
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
    buffer.mapAsync(GPUMapMode.WRITE).then(
      () => this.give({ buffer, bytes: new Uint8Array(buffer.getMappedRange()) }),
      () => {
        // Lost or closed: whoever waits looks at the device next.
        this.give(slot);
      },
    );
  }

  /** Lets go of all slots; none may be written to any more. */
  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
    this.buffers.clear();
  }

  private make(bytes: number): Slot {
    const buffer = this.device.gpu.createBuffer({
      label: 'upload',
      size: roundUp(bytes, 16),
      usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC,
      mappedAtCreation: true,
    });
    this.buffers.add(buffer);
    return { buffer, bytes: new Uint8Array(buffer.getMappedRange()) };
  }

  private drop({ buffer }: Slot): void {
    this.buffers.delete(buffer);
    buffer.destroy();
  }

  private give(slot: Slot): void {
    const next = this.waiting.shift();
    if (next) next(slot);
    else this.free.push(slot);
  }
}
