import type { Recorder } from '../engine/program.ts';
import { elementBytes, f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, grid, quads, reducing } from './common.ts';
import denoiseStepWgsl from './denoise_step.wgsl';
import type { Modulation } from './layer_norm.ts';
import { type Linear, linear } from './linear.ts';
import { splitsSums } from './matmul_candidates.ts';
import { type SamplerTables, samplerStep } from './sampler_step.ts';

/** The layers of a diffusion head between its last block and, in the next step, its first. */
export interface OuterLayers {
  /** [d, width], with a bias; a layer norm without weights stands before it */
  final: Linear;
  /** [width, d], with a bias */
  input: Linear;
  eps: number;
}

/**
 * From one diffusion step to the next: the final layer's u of h, the sampler step of x by it, and the input projection of
 * that x; in one kernel where that can be, with the same bits.
 * @param h [branches × rows, width], what the last block gave; may be overwritten
 * @param x f32 [branches × rows, d], moved in place
 * @param modulation the final layer's
 * @param offset steps past `tables.step`
 * @returns h of the next step, of h's type
 */
export function denoiseStep(
  p: Recorder,
  h: Tensor,
  x: Tensor,
  layers: OuterLayers,
  modulation: Modulation,
  tables: SamplerTables,
  branches: number,
  offset: number,
): Tensor {
  const { final, input, eps } = layers,
    { tensor: m, firstRow, shift, scale } = modulation;
  if (!fitsOneKernel(p, h, x, layers, tables, branches)) {
    samplerStep(
      p,
      x,
      linear(p, h, final, { norm: { kind: 'layer', eps, modulation }, type: 'f32' }),
      tables,
      branches,
      offset,
    );
    return linear(p, x, input, { type: h.type });
  }
  checkShape(
    x.type === 'f32' && x.rows === h.rows && m.type === h.type && m.rows >= firstRow + h.rows,
    'denoise_step',
    `x f32[${h.rows}, d] and a modulation ${h.type}[${firstRow + h.rows}, …]`,
    x,
    m,
  );
  const { coefficients, step, guidance, stepNoise, chosen } = tables,
    rows = h.rows / branches,
    read = [m, final.weight, final.bias!, input.weight, input.bias!, coefficients, step, guidance];
  if (stepNoise) read.push(stepNoise, chosen);
  const split = !p.device.software,
    channels = quads(x.cols);
  p.operation({
    name: 'denoise_step',
    source: denoiseStepWgsl,
    read,
    write: [x, h],
    constants: {
      ...reducing(p),
      x: h.type,
      w: final.weight.type,
      branches,
      guides: branches === 2,
      noisy: stepNoise !== undefined,
      width: quads(h.cols),
      channels,
      split,
      finalParts: split ? sumParts : 1,
      inputParts: split ? Math.min(sumParts, 2 ** Math.ceil(Math.log2(channels))) : 1, // further parts would add zeros
      out: read.length,
      hidden: read.length + 1,
      uniforms: read.length + 2,
    },
    uniforms: [
      rows,
      h.cols,
      x.cols,
      f32Bits(eps),
      m.pitch / 4,
      (firstRow * m.pitch + shift) / 4,
      (firstRow * m.pitch + scale) / 4,
      offset,
      (stepNoise?.rows ?? 0) / coefficients.rows,
    ],
    workgroups: grid(p, rows, 1),
  });
  return h;
}

/** Parts of a sum over k in matmul_rows.wgsl. */
const sumParts = 32;

/** On hardware with few rows alone: many keep more of a GPU busy in the layers' own kernels. */
function fitsOneKernel(
  { device, tape }: Recorder,
  h: Tensor,
  x: Tensor,
  { final, input }: OuterLayers,
  { stepNoise }: SamplerTables,
  branches: number,
): boolean {
  const { maxStorageBuffersPerShaderStage: buffers, maxComputeWorkgroupStorageSize: storage } = device.limits,
    weights = [final.weight, final.bias, input.weight, input.bias],
    lanes = 64;
  return (
    !tape &&
    (device.software || splitsSums(device, h.rows)) &&
    weights.every((t) => t?.pieces.length === 1 && t.type === final.weight.type) &&
    buffers >= (stepNoise ? 12 : 10) &&
    storage >= 4 * elementBytes(h.type) * branches * quads(h.cols) + 16 * quads(x.cols) + 20 * lanes
  );
}
