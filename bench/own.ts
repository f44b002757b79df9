import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { type Expanded, type Place, preprocess, type ShaderSource, SourceError } from '../engine/preprocessor.ts';
import type { Candidate, Program } from '../engine/program.ts';
import { namedConfig } from './configs.ts';
import { difference, rowOf, tolerance } from './kernels.ts';
import { guardLoops } from './loop_guard.ts';
import { measure } from './measure.ts';
import { Operands } from './operands.ts';
import { makeYardstick } from './probes.ts';
import type { KernelRow } from './report.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import type { Stopwatch } from './stopwatch.ts';
import { workOf } from './work.ts';

/** A kernel to take the place of: its name, its variant where one is wanted, and the shape. */
export interface Target {
  /** `matmul`, `matmul:direct`, `rms_norm`, … */
  as: string;
  /** Sizes of a matrix product; the model's most costly shape unless given. */
  shape?: [number, number, number];
  /** The model whose shape it is. */
  config?: string;
}

/** What is wrong with a source: at a line of it, counted from 1, or at line 0 with the whole of it. */
export interface SourceFault {
  line: number;
  message: string;
}

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

/** Finds the recorded shape and the candidate of a target; a `usage` error names what there is. */
export async function findTarget(
  device: Device,
  { as, shape: sizes, config = 'emoji' }: Target,
): Promise<{ shape: RecordedShape; candidate: Candidate }> {
  const [name, variant] = as.split(':');
  if (sizes && name !== 'matmul')
    throw new MMARError('usage', `--shape gives a matrix product's sizes, not those of ${name}`);
  const all = sizes ? [await matmulShape(device, ...sizes)] : await recordShapes(device, namedConfig(config), config),
    known = [...new Set(all.map(({ dispatch }) => dispatch.name))].sort();
  const cost = (s: RecordedShape) => Math.max(1, s.calls) * (workOf(s).flops ?? workOf(s).bytes);
  const [shape] = all.filter(({ dispatch }) => dispatch.name === name).sort((a, b) => cost(b) - cost(a));
  if (!shape)
    throw new MMARError('usage', `no kernel is called ${JSON.stringify(name)}; give one of ${known.join(', ')}`);
  const candidate = variant === undefined ? shape.candidates[0] : shape.candidates.find((c) => c.variant === variant);
  if (!candidate)
    throw new MMARError(
      'usage',
      `${name} has no variant ${JSON.stringify(variant)} here; give one of ${shape.candidates.map((c) => c.variant).join(', ')}`,
    );
  return { shape, candidate };
}

/** A source with all of its constants, files and branches filled in, or the file that a person wrote. */
export type SourceForm = 'compiled' | 'written';

/**
 * A candidate's source, to change: its first line is the number of workgroups, which `tryShader` reads. As it is written, a
 * second one says what its constants are.
 */
export function sourceOf({ source, constants, workgroups }: Candidate, form: SourceForm): string {
  const [x, y = 1, z = 1] = workgroups;
  const first = `// workgroups ${x} ${y} ${z}\n`;
  if (form === 'compiled') return first + preprocess(source, constants).code;
  const values = Object.entries(constants ?? {}).map(([name, value]) => `${name} = ${value}`);
  const second = values.length ? `// constants: ${values.join(', ')}\n` : '';
  return first + second + source.text;
}

/** The number of workgroups that a source asks for; that of the kernel in whose place it stands, where it says none. */
function workgroupsOf(wgsl: string, { workgroups }: Candidate): Candidate['workgroups'] {
  const said = /^\s*\/\/ workgroups (\d+) (\d+) (\d+)\s*$/m.exec(wgsl);
  return said ? [Number(said[1]), Number(said[2]), Number(said[3])] : workgroups;
}

/** What a shader of one's own is called where a place in it is told. */
const yourFile = 'yours.wgsl';

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
  const errors = await sourceErrors(device, source, candidate.constants, layoutOf(shape));
  if (errors.length) return { errors, rows: [] };
  const own: Candidate = {
    ...candidate,
    variant: 'yours',
    source,
    workgroups: workgroupsOf(wgsl, candidate),
  };
  const plain = shape.candidates.find(({ variant }) => variant === 'direct') ?? shape.candidates[0],
    operands = await Operands.make(device, shape),
    yardstick = await makeYardstick(watch);
  const programs: Program[] = [];
  const program = async (c: Candidate): Promise<Program> => {
    const made = await operands.program(c);
    programs.push(made);
    return made;
  };
  try {
    const wanted = await operands.results(await program(plain)),
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

/** More turns than an invocation takes in an honest kernel: some times its share of all the work. */
function turnsOf(shape: RecordedShape, { workgroups: [x, y = 1, z = 1] }: Candidate): number {
  const { flops = 0, bytes } = workOf(shape);
  return Math.min(2 ** 30, Math.max(2 ** 20, Math.ceil(Math.max(flops, bytes) / (8 * x * y * z))));
}

/** Runs a program with its loops guarded; tells the loop that reached so many turns. */
async function endlessLoop(device: Device, { steps }: Program, turns: number): Promise<SourceFault | undefined> {
  const { gpu } = device,
    [{ dispatch, layout }] = steps,
    { code, places } = preprocess(dispatch.source, dispatch.constants),
    flagLayout = device.pipelines.bindGroupLayout('w');
  gpu.pushErrorScope('validation');
  const module = gpu.createShaderModule({ label: 'yours, guarded', code: guardLoops(code, turns) });
  void gpu.popErrorScope();
  const layouts = [device.pipelines.bindGroupLayout(layout), flagLayout];
  const pipeline = await gpu
    .createComputePipelineAsync({
      label: 'yours, guarded',
      layout: gpu.createPipelineLayout({ bindGroupLayouts: layouts }),
      compute: { module, entryPoint: 'main' },
    })
    .catch(() => undefined);
  if (!pipeline) return undefined; // no room for the guard: who runs it has a limit of time, too
  const flag = device.tensor('loop guard', 'u32', [1, 4]);
  try {
    const encoder = gpu.createCommandEncoder(),
      resource = { buffer: flag.buffer };
    encoder.clearBuffer(flag.buffer);
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(1, gpu.createBindGroup({ layout: flagLayout, entries: [{ binding: 0, resource }] }));
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

/** How a shape's operands are bound. */
export const layoutOf = ({ dispatch: { read, write, uniforms } }: RecordedShape): string =>
  'r'.repeat(read.length) + 'w'.repeat(write.length) + (uniforms.length ? 'u' : '');

/** What is wrong with a source, by its lines: what cannot be expanded, or what the compiler says of it. */
async function sourceErrors(
  device: Device,
  source: ShaderSource,
  constants: Candidate['constants'],
  layout: string,
): Promise<SourceFault[]> {
  try {
    return await compileErrors(device, preprocess(source, constants), layout);
  } catch (error) {
    if (error instanceof SourceError) return [faultAt(error.place, error.fault)];
    throw error;
  }
}

/** What a compiler says without the excerpt that Naga draws below it: that has lines of the expanded source. */
function plain(message: string): string {
  const [first, ...more] = message.trim().split('\n');
  return [first, ...more.filter((line) => /^\s*= /.test(line))].join(' ').replace(/\s+/g, ' ');
}

/** A fault at a line of one's own source, or in a file that it includes. */
const faultAt = ({ file, line }: Place, message: string): SourceFault =>
  file === yourFile ? { line, message } : { line: 0, message: `${file}:${line}: ${message}` };

/** What is wrong with a source, by its lines; what a pipeline of it is refused for stands at line 0. */
async function compileErrors(device: Device, { code, places }: Expanded, layout: string): Promise<SourceFault[]> {
  const { gpu } = device;
  gpu.pushErrorScope('validation');
  const module = gpu.createShaderModule({ label: 'yours', code });
  void gpu.popErrorScope();
  const { messages } = await module.getCompilationInfo();
  const errors = messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, message }) => faultAt(places[lineNum - 1] ?? { file: yourFile, line: 0 }, plain(message)));
  if (errors.length) return errors;
  try {
    const bindGroupLayouts = [device.pipelines.bindGroupLayout(layout)];
    await gpu.createComputePipelineAsync({
      label: 'yours',
      layout: gpu.createPipelineLayout({ bindGroupLayouts }),
      compute: { module, entryPoint: 'main' },
    });
    return [];
  } catch (cause) {
    return [{ line: 0, message: (cause as Error).message.split('\n').slice(0, 2).join(' ').trim() }];
  }
}

/** What a target of a model's may be called: each kernel, and each of its variants where it has several. */
export async function targetNames(device: Device, config: string): Promise<string[]> {
  const names = new Set<string>();
  for (const { dispatch, candidates } of await recordShapes(device, namedConfig(config), config)) {
    if (candidates.length < 2) names.add(dispatch.name);
    else for (const { variant } of candidates) names.add(`${dispatch.name}:${variant}`);
  }
  return [...names].sort();
}
