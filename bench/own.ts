import { layoutOf } from '../engine/plan.ts';
import type { ShaderSource } from '../engine/preprocessor.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { endlessLoop, turnsOf } from './endless.ts';
import { type SourceFault, sourceErrors, yourFile } from './faults.ts';
import { difference, plainOf, rowOf, tolerance } from './kernels.ts';
import { measure } from './measure.ts';
import { Operands } from './operands.ts';
import { makeYardstick } from './probes.ts';
import type { KernelRow } from './report.ts';
import type { Stopwatch } from './stopwatch.ts';
import { findTarget, type Target, workgroupsOf } from './target.ts';

/** What a shader of one's own was found to be. */
export interface Verdict {
  /** Why it does not compile; empty where it does. */
  errors: SourceFault[];
  /** The loop that does not end; such a shader is not run as it is. */
  endless?: SourceFault;
  /** The largest difference from the plain kernel's result, over an element's size; absent where it does not compile. */
  difference?: number;
  correct?: boolean;
  /** Its time and ours, taken in turn; absent where it does not compile. */
  rows: KernelRow[];
}

export interface TryOptions {
  signal?: AbortSignal;
  /** Called with true before the shader runs for the first time, and with false once it has: what does not, never will. */
  onRun?: (running: boolean) => void;
}

/**
 * Compiles a shader in a kernel's place, compares what it computes with the plain kernel's result, and times it against ours.
 * @param wgsl as it is compiled or as it is written: what it includes and its constants are those of the kernel
 */
export async function tryShader(
  watch: Stopwatch,
  wgsl: string,
  target: Target,
  { signal, onRun }: TryOptions = {},
): Promise<Verdict> {
  const { device } = watch,
    { shape, candidate } = await findTarget(device, target);
  const source: ShaderSource = { ...candidate.source, file: yourFile, text: wgsl };
  const errors = await sourceErrors(device, source, candidate.constants, layoutOf(shape.dispatch));
  if (errors.length) return { errors, rows: [] };
  const own: Candidate = {
    ...candidate,
    variant: 'yours',
    source,
    workgroups: workgroupsOf(wgsl, candidate),
  };
  const operands = await Operands.make(device, shape),
    yardstick = await makeYardstick(watch);
  const programs: Program[] = [];
  const program = async (c: Candidate): Promise<Program> => {
    const made = await operands.program(c);
    programs.push(made);
    return made;
  };
  try {
    const wanted = await operands.results(await program(plainOf(shape.candidates))),
      mine = await program(own);
    onRun?.(true);
    const endless = await endlessLoop(device, mine, turnsOf(shape, own));
    if (endless) return { errors, endless, rows: [] };
    const off = difference(await operands.results(mine), wanted);
    onRun?.(false);
    const ours = await program(candidate),
      [yard, ...timings] = await measure(watch, [[yardstick.program], [ours], [mine]], { samples: 10, signal });
    const rows = [candidate.variant || 'ours', 'yours'].map((variant, i) => rowOf(shape, variant, timings[i], yard));
    return { errors, difference: off, correct: off < tolerance, rows };
  } finally {
    for (const made of programs) made.destroy();
    operands.release();
    yardstick.release();
  }
}
