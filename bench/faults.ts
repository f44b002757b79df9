import type { Device } from '../engine/device.ts';
import type { Layout } from '../engine/pipeline.ts';
import { type Expanded, type Place, preprocess, type ShaderSource, SourceError } from '../engine/preprocessor.ts';
import type { Candidate } from '../engine/program.ts';

/** What is wrong with a source: at a line of it, counted from 1, or at line 0 with the whole of it. */
export interface SourceFault {
  line: number;
  message: string;
}

/** What a shader of one's own is called where a place in it is told. */
export const yourFile = 'yours.wgsl';

/** What is wrong with a source, by its lines: what cannot be expanded, or what the compiler says of it. */
export async function sourceErrors(
  device: Device,
  source: ShaderSource,
  constants: Candidate['constants'],
  layout: Layout,
): Promise<SourceFault[]> {
  try {
    return await compileErrors(device, preprocess(source, constants), layout);
  } catch (error) {
    if (error instanceof SourceError) return [faultAt(error.place, error.fault)];
    throw error;
  }
}

/** What is wrong with a source, by its lines; what a pipeline of it is refused for stands at line 0. */
async function compileErrors(device: Device, { code, places }: Expanded, layout: Layout): Promise<SourceFault[]> {
  const module = moduleOf(device, 'yours', code),
    { messages } = await module.getCompilationInfo();
  const errors = messages
    .filter(({ type }) => type === 'error')
    .map(({ lineNum, message }) =>
      faultAt(places[lineNum - 1] ?? { file: yourFile, line: 0 }, withoutExcerpt(message)),
    );
  if (errors.length) return errors;
  try {
    await pipelineOf(device, module, [layout]);
    return [];
  } catch (cause) {
    return [{ line: 0, message: (cause as Error).message.split('\n').slice(0, 2).join(' ').trim() }];
  }
}

/** A fault at a line of one's own source, or in a file that it includes. */
export const faultAt = ({ file, line }: Place, message: string): SourceFault =>
  file === yourFile ? { line, message } : { line: 0, message: `${file}:${line}: ${message}` };

/** What a compiler says without the excerpt that Naga draws below it: that has lines of the expanded source. */
function withoutExcerpt(message: string): string {
  const [first, ...more] = message.trim().split('\n');
  return [first, ...more.filter((line) => /^\s*= /.test(line))].join(' ').replace(/\s+/g, ' ');
}

/** A module of a user's code: its errors stand in its messages, and are none of the device's. */
export function moduleOf({ gpu }: Device, label: string, code: string): GPUShaderModule {
  gpu.pushErrorScope('validation');
  const module = gpu.createShaderModule({ label, code });
  void gpu.popErrorScope();
  return module;
}

/** A pipeline of such a module, with bind groups of these layouts. */
export function pipelineOf(
  { gpu, pipelines }: Device,
  module: GPUShaderModule,
  layouts: Layout[],
): Promise<GPUComputePipeline> {
  const bindGroupLayouts = layouts.map((layout) => pipelines.bindGroupLayout(layout));
  return gpu.createComputePipelineAsync({
    label: module.label,
    layout: gpu.createPipelineLayout({ bindGroupLayouts }),
    compute: { module, entryPoint: 'main' },
  });
}
