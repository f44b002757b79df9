// What is decided once, when a program has been recorded: its memory, its bind groups, its pipelines.
import type { Device } from './device.ts';
import type { Layout } from './pipeline.ts';
import type { Dispatch, Recorder } from './program.ts';
import { type Piece, roundUp } from './tensor.ts';

/** A dispatch with all that can be decided once: what replaying it takes is three calls. */
export interface Step {
  dispatch: Dispatch;
  part: string;
  /** How the bindings are used: with it `Pipelines.get` compiles another shader for the same bind group. */
  layout: Layout;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  workgroups: [number, number, number];
}

const uniformSlot = 256; // minUniformBufferOffsetAlignment that every adapter takes

/** One buffer for all uniform blocks; those that are alike share their place. */
export function planUniforms({ device, dispatches, name }: Recorder): {
  buffer?: GPUBuffer;
  offsets: Map<string, number>;
} {
  const offsets = new Map<string, number>();
  for (const { uniforms } of dispatches.flatMap(inParts)) {
    const key = uniforms.join();
    if (uniforms.length && !offsets.has(key)) offsets.set(key, offsets.size * uniformSlot);
  }
  if (!offsets.size) return { offsets };
  const bytes = offsets.size * uniformSlot,
    usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    buffer = device.memory.create(bytes, `${name} uniforms`, usage),
    words = new Uint32Array(bytes / 4);
  for (const [key, offset] of offsets) words.set(key.split(',').map(Number), offset / 4);
  device.gpu.queue.writeBuffer(buffer, 0, words);
  return { buffer, offsets };
}

/** A dispatch, or several for some of its rows of workgroups each. */
function inParts({
  uniforms,
  workgroups,
  rowsAtOnce = Infinity,
}: Dispatch): Pick<Dispatch, 'uniforms' | 'workgroups'>[] {
  const [x, rows = 1, z] = workgroups;
  if (rows <= rowsAtOnce) return [{ uniforms, workgroups }];
  return Array.from({ length: Math.ceil(rows / rowsAtOnce) }, (_, i) => ({
    uniforms: [...uniforms.slice(0, -1), i * rowsAtOnce],
    workgroups: [x, Math.min(rowsAtOnce, rows - i * rowsAtOnce), z],
  }));
}

/** How a dispatch's operands are bound. */
export const layoutOf = ({ read, write, uniforms }: Pick<Dispatch, 'read' | 'write' | 'uniforms'>): Layout =>
  'r'.repeat(read.length) + 'w'.repeat(write.length) + (uniforms.length ? 'u' : '');

export async function planSteps(
  device: Device,
  d: Dispatch,
  buffer: GPUBuffer | undefined,
  offsets: Map<string, number>,
): Promise<Step[]> {
  const layout = layoutOf(d),
    size = roundUp(4 * d.uniforms.length, 16);
  const bind = (uniforms: number[]): GPUBindGroup => {
    const resources: GPUBufferBinding[] = [...d.read, ...d.write].map((tensor) => ({ buffer: tensor.buffer }));
    if (uniforms.length) resources.push({ buffer: buffer!, offset: offsets.get(uniforms.join())!, size });
    return device.gpu.createBindGroup({
      label: d.label,
      layout: device.pipelines.bindGroupLayout(layout),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  };
  const parts = inParts(d).map(({ uniforms, workgroups: [x, y = 1, z = 1] }) => ({
    bindGroup: bind(uniforms),
    workgroups: [x, y, z] as Step['workgroups'],
  }));
  const pipeline = await device.pipelines.get(d.name, d.source, d.constants, layout);
  return parts.map((part) => ({ dispatch: d, part: d.part, layout, pipeline, ...part }));
}

/**
 * Gives each scratch piece a buffer from its first use to its last; then all go back to the shared workspace.
 * @returns the buffers that the program uses, held until it lets go of them
 */
export function planScratch({ device: { memory }, dispatches, made }: Recorder): GPUBuffer[] {
  const last = new Map<Piece, number>();
  dispatches.forEach(({ read, write }, i) => {
    for (const { pieces } of [...read, ...write]) for (const piece of pieces) if (made.has(piece)) last.set(piece, i);
  });
  const used = new Set<GPUBuffer>();
  dispatches.forEach(({ read, write }, i) => {
    const tensors = [...read, ...write];
    for (const { pieces, rowBytes } of tensors) {
      for (const piece of pieces) {
        if (!last.has(piece)) continue;
        piece.buffer ??= memory.takeScratch(Math.max(1, piece.rows) * rowBytes);
        used.add(piece.buffer);
      }
    }
    for (const piece of new Set(tensors.flatMap(({ pieces }) => pieces)))
      if (last.get(piece) === i) memory.giveScratch(piece.buffer!);
  });
  memory.hold(used);
  return [...used];
}
