import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { elementBytes, f32Bits, type Tensor } from '../engine/tensor.ts';
import { quads, reduceLanes } from './common.ts';
import { type Affine, layerNorm, type Modulation } from './layer_norm.ts';
import { type MatmulCandidate, matmulCandidates } from './matmul_candidates.ts';
import { rmsNorm } from './rms_norm.ts';

/** A norm that stands before a layer. */
export type Norm = { eps: number } & (
  | { kind: 'rms'; weight: Tensor }
  | { kind: 'layer'; affine?: Affine; modulation?: Modulation }
);

/** The norm as an operation of its own. */
export function normalize(p: Recorder, x: Tensor, norm: Norm): Tensor {
  if (norm.kind === 'rms') return rmsNorm(p, x, norm.weight, norm.eps);
  return layerNorm(p, x, norm.affine, norm.eps, norm.modulation);
}

/** A norm as part of a product's kernel (lib/matmul_norm.wgsl). */
export interface FusedNorm {
  candidates: MatmulCandidate[];
  weight?: Tensor;
  bias?: Tensor;
  modulation?: Tensor;
  rms: boolean;
  /** For the kernel's uniform block. */
  uniforms: number[];
}

/** More rows than these are normalized once, and not by each workgroup. */
const mostRows = 8;

/**
 * The norm before a product of few rows as part of its kernel, with the same bits; undefined where it would be made too
 * often, where its rows do not fit into workgroup memory, and on software, which barriers slow more than a launch saves.
 */
export function fuseNorm(p: Recorder, x: Tensor, weights: Tensor, norm: Norm): FusedNorm | undefined {
  const { device } = p,
    n = weights.rows;
  if (device.software || x.rows > mostRows || !x.rows) return undefined;
  const affine = norm.kind === 'rms' ? { weight: norm.weight, bias: undefined } : norm.affine,
    modulation = norm.kind === 'layer' ? norm.modulation : undefined;
  if (affine && (affine.weight.type !== weights.type || affine.weight.cols !== x.cols)) return undefined;
  if (modulation && !fits(x, modulation)) return undefined;
  const candidates = matmulCandidates(device, x, n).flatMap((candidate) =>
    staging(device, candidate, x, reduceLanes(p)),
  );
  if (!candidates.length) return undefined;
  const pitch = (modulation?.tensor.pitch ?? 0) / 4,
    first = (modulation?.firstRow ?? 0) * pitch;
  return {
    candidates,
    weight: affine?.weight,
    bias: affine?.bias,
    modulation: modulation?.tensor,
    rms: norm.kind === 'rms',
    uniforms: [
      x.cols,
      f32Bits(norm.eps),
      pitch,
      first + (modulation?.shift ?? 0) / 4,
      first + (modulation?.scale ?? 0) / 4,
    ],
  };
}

/** The candidate with its rows staged in workgroup memory, if that has room for them. */
function staging(device: Device, candidate: MatmulCandidate, x: Tensor, lanes: number): MatmulCandidate[] {
  const { threads, tile_m } = candidate.constants as { threads: number; tile_m: number };
  const bytes = 4 * elementBytes(x.type) * tile_m * quads(x.cols) + 4 * threads + 16 * threads * tile_m;
  if (bytes > device.limits.maxComputeWorkgroupStorageSize || threads % lanes) return [];
  return [{ ...candidate, constants: { ...candidate.constants, norm_lanes: lanes, k_quads: quads(x.cols) } }];
}

/** What does not fit is told by the norm as an operation of its own. */
const fits = (x: Tensor, { tensor, firstRow, shift, scale }: Modulation): boolean =>
  tensor.type === x.type && tensor.rows >= firstRow + x.rows && tensor.cols >= Math.max(shift, scale) + x.cols;
