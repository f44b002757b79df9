import { roundUp } from './tensor.ts';

/** Bytes on the device: what is held now, and the most that was held at once. */
export interface MemoryReport {
  held: number;
  peak: number;
}

/**
 * Device memory. Two kinds: `create` for what lasts (weights, caches, state), and a workspace of scratch buffers that
 * recorded programs share, because programs run one after another and no scratch content outlives a run.
 */
export class Memory {
  held = 0;
  peak = 0;
  /** Scratch buffers that no program which is being planned has taken. */
  private scratch: GPUBuffer[] = [];
  /** Programs that use a scratch buffer. */
  private readonly users = new Map<GPUBuffer, number>();

  constructor(private readonly device: GPUDevice) {}

  create(bytes: number, label: string, usage = storageUsage()): GPUBuffer {
    const size = roundUp(Math.max(bytes, 16), 16);
    const buffer = this.device.createBuffer({ label, size, usage });
    this.held += size;
    this.peak = Math.max(this.peak, this.held);
    return buffer;
  }

  destroy(buffer: GPUBuffer): void {
    this.held -= buffer.size;
    buffer.destroy();
  }

  /** Takes the smallest fitting scratch buffer, or makes one; a program gives all of its own back once it is planned. */
  takeScratch(bytes: number): GPUBuffer {
    let best = -1;
    for (let i = 0; i < this.scratch.length; i++) {
      const size = this.scratch[i].size;
      // A buffer four times too large is left to those that need it.
      if (size >= bytes && size <= 4 * bytes + 4096 && (best < 0 || size < this.scratch[best].size)) best = i;
    }
    if (best >= 0) return this.scratch.splice(best, 1)[0];
    // Sizes in steps of an eighth, so that slightly different shapes share buffers.
    const step = 2 ** Math.max(8, Math.floor(Math.log2(Math.max(bytes, 1))) - 3);
    return this.create(roundUp(bytes, step), 'scratch');
  }

  giveScratch(buffer: GPUBuffer): void {
    this.scratch.push(buffer);
  }

  /** Notes that one more program uses these scratch buffers. */
  hold(buffers: Iterable<GPUBuffer>): void {
    for (const buffer of buffers) this.users.set(buffer, (this.users.get(buffer) ?? 0) + 1);
  }

  /** Notes that a program is gone. Its scratch stays for the next program until `trim`. */
  letGo(buffers: Iterable<GPUBuffer>): void {
    for (const buffer of buffers) {
      const left = this.users.get(buffer)! - 1;
      if (left) this.users.set(buffer, left);
      else this.users.delete(buffer);
    }
  }

  /** Frees the scratch buffers that no program uses; what was recorded must have been submitted. */
  trim(): void {
    for (const buffer of this.scratch) if (!this.users.has(buffer)) this.destroy(buffer);
    this.scratch = this.scratch.filter((buffer) => this.users.has(buffer));
  }

  report(): MemoryReport {
    return { held: this.held, peak: this.peak };
  }
}

const storageUsage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
