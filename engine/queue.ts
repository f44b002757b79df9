import { checkCancelled } from '../base/error.ts';
import type { Step } from './plan.ts';
import type { Profile } from './profile.ts';
import type { Program } from './program.ts';

/** Most dispatches in one submission: enough to hide its cost. */
const dispatchesPerSubmit = 512;
/** The same where the device does not tell how far it is: then no slice of work bounds a submission. */
const unheardPerSubmit = 32;
/** A slice of work is so many times what an answer takes, for the answer not to be most of what is timed. */
const slicesPerAnswer = 4;

/** How a device is to be driven. */
export interface Drive {
  /** Seconds of work between two looks at whether to go on. */
  slice: number;
  /** Seconds in which the device tells that it is done, where it can be asked within a program (Firefox answers every 100 ms). */
  answer: number | undefined;
  /** Seconds, at any time. */
  clock?: () => number;
}

/** The device's one queue: programs run on it one after another, a slice of work ahead of the host. */
export class Queue {
  /** Set to a `Profile` to have the time of each part measured. */
  profile: Profile | undefined;
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private passPart = '';
  /** Dispatches in the encoder. */
  private recorded = 0;
  /** Dispatches since `send`, and the program that all of these belong to. */
  private unpaced = 0;
  private unpacedOf: Program | undefined;
  private inFlight: Promise<void> | undefined;
  /** When the last submission was done. */
  private done = 0;
  private running: Promise<void> = Promise.resolve();
  private readonly slice: number;
  private readonly heard: boolean;
  private readonly clock: () => number;

  /** @param check throws what went wrong on the device */
  constructor(
    private readonly gpu: GPUDevice,
    private readonly check: () => void,
    { slice, answer, clock = () => performance.now() / 1000 }: Drive,
  ) {
    this.heard = answer !== undefined;
    this.slice = Math.max(slice, slicesPerAnswer * (answer ?? 0));
    this.clock = clock;
  }

  /**
   * Replays `program` behind all that runs already; its last dispatches wait for the next `submit`. Stays a slice of
   * work ahead of the device and no more, so that `signal` is heard soon, however long the program.
   */
  async run(program: Program, signal?: AbortSignal): Promise<void> {
    program.begin();
    // Programs share scratch memory: one runs after the other, also where two tasks take turns.
    const run = this.running.then(() => this.replay(program, signal)).finally(() => program.end());
    this.running = run.catch(() => {});
    return run;
  }

  private async replay(program: Program, signal?: AbortSignal): Promise<void> {
    checkCancelled(signal); // short programs may come to no look within
    let atOnce = program.pace.within(this.slice);
    for (const step of program.steps) {
      if (this.heard && this.unpaced >= atOnce) {
        await this.send(signal);
        atOnce = program.pace.within(this.slice); // known better now
      }
      if (this.recorded >= (this.heard ? dispatchesPerSubmit : unheardPerSubmit)) this.submit();
      if (!this.unpaced) this.unpacedOf = program;
      else if (this.unpacedOf !== program) this.unpacedOf = undefined; // two programs' time tells nothing of either
      this.encode(program.name, step);
    }
  }

  private encode(name: string, step: Step): void {
    this.encoder ??= this.gpu.createCommandEncoder({ label: name });
    if (!this.pass || (this.profile && this.passPart !== step.part)) {
      this.pass?.end();
      this.passPart = step.part;
      const timestampWrites = this.profile?.begin(step.part);
      this.pass = this.encoder.beginComputePass({ label: step.part, timestampWrites });
    }
    this.pass.setPipeline(step.pipeline);
    this.pass.setBindGroup(0, step.bindGroup);
    this.pass.dispatchWorkgroups(...step.workgroups);
    this.profile?.count(step.part);
    this.recorded++;
    this.unpaced++;
  }

  /** Sends what was recorded; returns at once. */
  submit(): void {
    if (!this.encoder) return;
    this.pass?.end();
    this.profile?.resolve(this.encoder);
    this.gpu.queue.submit([this.encoder.finish()]);
    this.profile?.submitted();
    this.encoder = undefined;
    this.pass = undefined;
    this.recorded = 0;
  }

  /** Sends what was recorded and waits until what the call before this one sent is done: keeps the device one step ahead. */
  pace(signal?: AbortSignal): Promise<void> {
    return this.send(signal);
  }

  private async send(signal?: AbortSignal): Promise<void> {
    const before = this.inFlight,
      dispatches = this.unpaced,
      program = this.unpacedOf;
    this.submit();
    this.unpaced = 0;
    this.inFlight = this.submittedWork().then((seconds) => {
      if (program && dispatches) program.pace.add(dispatches, seconds);
    });
    await before;
    await this.profile?.collect();
    this.check();
    checkCancelled(signal);
  }

  /** Waits for the queue; returns the seconds since it had nothing to do, or was done the last time. */
  private async submittedWork(): Promise<number> {
    const sent = this.clock();
    await this.gpu.queue.onSubmittedWorkDone().catch(() => {}); // why it was lost `check` tells
    const start = Math.max(sent, this.done);
    this.done = this.clock();
    return this.done - start;
  }

  /** Sends what was recorded and waits for all of it. */
  async idle(signal?: AbortSignal): Promise<void> {
    await this.pace(signal);
    await this.pace(signal);
  }
}

/** Seconds in which the queue tells that it is done; undefined if that takes longer than `patience`. */
export async function answerTime(gpu: GPUDevice, patience: number): Promise<number | undefined> {
  const buffer = gpu.createBuffer({ label: 'question', size: 4, usage: GPUBufferUsage.COPY_DST });
  const ask = async (): Promise<number> => {
    const start = performance.now();
    gpu.queue.writeBuffer(buffer, 0, new Uint8Array(4));
    gpu.queue.submit([]);
    await gpu.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 1000;
  };
  await ask(); // where answers come at intervals, the first may come early
  const took = await ask();
  buffer.destroy();
  return took < patience ? took : undefined;
}
