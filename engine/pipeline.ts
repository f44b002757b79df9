import { MMARError } from '../base/error.ts';
import { type Constants, hashOf, preprocess, type ShaderSource } from './preprocessor.ts';

/** How each binding of group 0 is used, in order: r(ead), w(rite, read too), u(niform). */
export type Layout = string;

/** Every pipeline of a device, compiled once for each shader and set of constants, asynchronously where that can be. */
export class Pipelines {
  private readonly compiled = new Map<string, Promise<GPUComputePipeline>>();
  private readonly layouts = new Map<Layout, GPUBindGroupLayout>();

  /** @param most that are kept; the one not asked for longest goes first (programs keep theirs) */
  constructor(
    private readonly device: GPUDevice,
    private readonly most = 1000,
  ) {}

  get count(): number {
    return this.compiled.size;
  }

  get(name: string, source: ShaderSource, constants: Constants, layout: Layout): Promise<GPUComputePipeline> {
    const key = `${hashOf(source)} ${layout} ${JSON.stringify(constants)}`;
    const pipeline = this.compiled.get(key) ?? this.compile(name, source, constants, layout);
    this.compiled.delete(key);
    this.compiled.set(key, pipeline); // the last used stands last
    pipeline.catch(() => this.compiled.delete(key)); // the next one tries again
    for (const oldest of this.compiled.keys()) if (this.compiled.size > this.most) this.compiled.delete(oldest);
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
    const { code, places } = preprocess(source, constants);
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
      const at = first && places[first.lineNum - 1],
        message = (first?.message ?? String((cause as Error).message)).split('\n')[0],
        where = at ? `${at.file}:${at.line}: ${message}` : message;
      throw new MMARError('device', `shader ${name} ${JSON.stringify(constants)} does not compile: ${where}`, {
        cause,
      });
    }
  }
}
