/** Seconds on the device for each named part, from timestamps, or from the clock where the adapter has none. */
export class Profile {
  /** Seconds by part, in the order in which the parts first ran. */
  readonly seconds: Record<string, number> = {};
  /** Dispatches by part. */
  readonly dispatches: Record<string, number> = {};
  readonly timestamps: boolean;
  private queries: GPUQuerySet | undefined;
  private parts: string[] = [];
  private resolved: GPUBuffer | undefined;
  private waiting: { parts: string[]; staging: GPUBuffer }[] = [];
  private clock = performance.now();

  constructor(private readonly gpu: GPUDevice) {
    this.timestamps = gpu.features.has('timestamp-query');
  }

  /** Timestamps for a compute pass that runs `part`. */
  begin(part: string): GPUComputePassTimestampWrites | undefined {
    this.parts.push(part);
    if (!this.timestamps || this.parts.length > maxPasses) return undefined;
    this.queries ??= this.gpu.createQuerySet({ type: 'timestamp', count: 2 * maxPasses });
    const index = 2 * (this.parts.length - 1);
    return { querySet: this.queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  count(part: string): void {
    this.dispatches[part] = (this.dispatches[part] ?? 0) + 1;
  }

  /** Called when a command buffer ends. */
  resolve(encoder: GPUCommandEncoder): void {
    const parts = this.parts.slice(0, maxPasses);
    if (!this.timestamps || !parts.length || !this.queries) return;
    this.resolved ??= this.gpu.createBuffer({
      label: 'timestamps',
      size: 16 * maxPasses,
      usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    });
    const staging = this.gpu.createBuffer({
      label: 'timestamps read',
      size: 16 * parts.length,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    encoder.resolveQuerySet(this.queries, 0, 2 * parts.length, this.resolved, 0);
    encoder.copyBufferToBuffer(this.resolved, 0, staging, 0, staging.size);
    this.waiting.push({ parts, staging });
  }

  /** Called when it was sent. */
  submitted(): void {
    if (this.timestamps) this.parts = []; // else `collect` shares the time since the last one among them
  }

  /** Adds up what has been measured so far. */
  async collect(): Promise<void> {
    if (!this.timestamps) {
      await this.gpu.queue.onSubmittedWorkDone();
      const now = performance.now(),
        parts = [...new Set(this.parts)];
      for (const part of parts) this.add(part, (now - this.clock) / 1000 / parts.length);
      this.clock = now;
      this.parts = [];
      return;
    }
    for (const { parts, staging } of this.waiting.splice(0)) {
      await staging.mapAsync(GPUMapMode.READ);
      const times = new BigUint64Array(staging.getMappedRange());
      for (const [i, part] of parts.entries()) this.add(part, Number(times[2 * i + 1] - times[2 * i]) / 1e9);
      staging.destroy();
    }
  }

  private add(part: string, seconds: number): void {
    this.seconds[part] = (this.seconds[part] ?? 0) + Math.max(0, seconds);
  }
}

const maxPasses = 64;
