import { MMARError } from '../base/error.ts';

/** A shader module made by the `.wgsl` build step: constants in, WGSL out. */
export type ShaderSource = (constants: Record<string, unknown>) => string;
export type Constants = Record<string, string | number | boolean>;
/** How each binding of group 0 is used, in order: r(ead), w(rite, read too), u(niform). */
export type Layout = string;

/**
 * Repeats the lines between `#for i in N` and `#endfor` with `#i` (`#iu` for a u32) as 0, 1 … N-1, or, with words in place
 * of N, as each of these: WGSL has no way to ask for an unrolled loop, and compilers leave arrays indexed in a loop in
 * slow memory.
 */
export function unroll(code: string): string {
  const innermost = /^[ \t]*#for (\w) in ([\w ]+?)[ \t]*\n((?:(?![ \t]*#for )[^\n]*\n)*?)[ \t]*#endfor[ \t]*\n/m;
  for (let match = innermost.exec(code); match; match = innermost.exec(code)) {
    const [whole, name, list, body] = match;
    const values = /^\d+$/.test(list) ? Array.from({ length: Number(list) }, (_, i) => String(i)) : list.split(' ');
    const copies = values.map((value) => body.replaceAll(`#${name}`, value));
    code = code.slice(0, match.index) + copies.join('') + code.slice(match.index + whole.length);
  }
  return code;
}

/** Every pipeline of a device, compiled once for each shader and set of constants, asynchronously where that can be. */
export class Pipelines {
  private readonly compiled = new Map<string, Promise<GPUComputePipeline>>();
  private readonly layouts = new Map<Layout, GPUBindGroupLayout>();
  private readonly keys = new Map<ShaderSource, number>();

  constructor(private readonly device: GPUDevice) {}

  get count(): number {
    return this.compiled.size;
  }

  get(name: string, source: ShaderSource, constants: Constants, layout: Layout): Promise<GPUComputePipeline> {
    if (!this.keys.has(source)) this.keys.set(source, this.keys.size);
    const key = `${this.keys.get(source)} ${layout} ${JSON.stringify(constants)}`;
    const pipeline = this.compiled.get(key) ?? this.compile(name, source, constants, layout);
    this.compiled.set(key, pipeline);
    pipeline.catch(() => this.compiled.delete(key)); // the next one tries again
    return pipeline;
  }

  bindGroupLayout(layout: Layout): GPUBindGroupLayout {
    const types = { r: 'read-only-storage', w: 'storage', u: 'uniform' } as const;
    const entries = [...layout].map((use, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: types[use as keyof typeof types] },
    }));
    const made = this.layouts.get(layout) ?? this.device.createBindGroupLayout({ label: layout, entries });
    this.layouts.set(layout, made);
    return made;
  }

  private async compile(
    name: string,
    source: ShaderSource,
    constants: Constants,
    layout: Layout,
  ): Promise<GPUComputePipeline> {
    const code = unroll(source(constants));
    this.device.pushErrorScope('validation'); // what is wrong is said by the pipeline's error, not twice
    const module = this.device.createShaderModule({ label: name, code });
    void this.device.popErrorScope();
    const descriptor: GPUComputePipelineDescriptor = {
      label: name,
      layout: this.device.createPipelineLayout({ bindGroupLayouts: [this.bindGroupLayout(layout)] }),
      compute: { module, entryPoint: 'main' },
    };
    try {
      return await this.device.createComputePipelineAsync(descriptor);
    } catch (cause) {
      const { messages } = await module.getCompilationInfo();
      const first = messages.find((m) => m.type === 'error');
      const where = first ? `line ${first.lineNum}: ${first.message}` : String((cause as Error).message).split('\n')[0];
      throw new MMARError('device', `shader ${name} ${JSON.stringify(constants)} does not compile: ${where}`, {
        cause,
      });
    }
  }
}
