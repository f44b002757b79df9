import type { AdapterDescription } from './adapter.ts';
import { Device } from './device.ts';
import { Pipelines } from './pipeline.ts';

/** What WebGPU guarantees everywhere: the limits of a plan for no adapter in particular. */
export const guaranteed = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

const nobody: AdapterDescription = {
  vendor: 'none',
  architecture: '',
  device: 'no adapter',
  driver: '',
  kind: 'hardware',
  features: [],
  limits: guaranteed,
};

/** A device that computes nothing and holds nothing, and the bytes that it would hold, by label. */
export interface DryDevice {
  device: Device;
  held(label: RegExp): number;
}

/**
 * A device for rehearsals: programs are recorded and their memory is planned by the same code as on `like`, whose limits
 * it has, but buffers are mere sizes. What `device.memory` reports is what a real run would.
 * @param capacity bytes after which making a buffer is out of memory
 * @param limits in place of those guaranteed, where there is no `like`
 */
export function dryDevice(
  like?: Device,
  { maxBinding = Infinity, capacity = Infinity, limits = {} as Partial<typeof guaranteed> } = {},
): DryDevice {
  const live = new Set<{ label: string; size: number }>();
  const gpu = dryGPU(like?.gpu, live, capacity, { ...guaranteed, ...limits });
  const device = new Device(gpu, like?.adapter ?? nobody, {
    maxBinding: Math.min(maxBinding, like?.maxBinding ?? Infinity),
    cores: like?.cores,
    pipelines: new NoPipelines(gpu),
  });
  return {
    device,
    held: (label) => [...live].reduce((sum, buffer) => sum + (label.test(buffer.label) ? buffer.size : 0), 0),
  };
}

/** Shaders are not even expanded. */
class NoPipelines extends Pipelines {
  override get(): Promise<GPUComputePipeline> {
    return Promise.resolve({} as GPUComputePipeline);
  }
}

function dryGPU(
  like: GPUDevice | undefined,
  live: Set<{ label: string; size: number }>,
  capacity: number,
  limits: typeof guaranteed,
): GPUDevice {
  // Without Dawn there are no constants yet; the values are WebGPU's.
  const globals = globalThis as { GPUBufferUsage?: unknown; GPUShaderStage?: unknown; GPUMapMode?: unknown };
  globals.GPUBufferUsage ??= {
    MAP_READ: 1,
    MAP_WRITE: 2,
    COPY_SRC: 4,
    COPY_DST: 8,
    UNIFORM: 64,
    STORAGE: 128,
    QUERY_RESOLVE: 512,
  };
  globals.GPUShaderStage ??= { COMPUTE: 4 };
  globals.GPUMapMode ??= { READ: 1 };

  const nothing = () => {},
    object = () => ({}),
    done = () => Promise.resolve();
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = {
    beginComputePass: () => pass,
    copyBufferToBuffer: nothing,
    clearBuffer: nothing,
    finish: object,
    resolveQuerySet: nothing,
  };
  let held = 0;
  const scopes: { filter: GPUErrorFilter; failed: boolean }[] = [];
  const gpu = {
    limits: like?.limits ?? limits,
    features: like?.features ?? new Set<string>(),
    adapterInfo: like?.adapterInfo ?? {},
    lost: new Promise(nothing),
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: done },
    addEventListener: nothing,
    destroy: nothing,
    createBuffer: ({ label = '', size }: GPUBufferDescriptor) => {
      const buffer = {
        label,
        size,
        mapAsync: done,
        getMappedRange: () => new ArrayBuffer(size),
        unmap: nothing,
        destroy() {
          if (live.delete(buffer)) held -= size;
        },
      };
      held += size;
      const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
      if (scope && held > capacity) scope.failed = true;
      live.add(buffer);
      return buffer;
    },
    createBindGroup: object,
    createBindGroupLayout: object,
    createPipelineLayout: object,
    createQuerySet: object,
    createCommandEncoder: () => encoder,
    pushErrorScope: (filter: GPUErrorFilter) => void scopes.push({ filter, failed: false }),
    popErrorScope() {
      const { failed } = scopes.pop()!;
      return Promise.resolve(failed ? { message: 'out of memory' } : null);
    },
  };
  return gpu as unknown as GPUDevice;
}
