import type { Device } from '../engine/device.ts';
import type { Recorder } from '../engine/program.ts';
import { f32Bits, type Tensor } from '../engine/tensor.ts';
import { checkShape, quads } from './common.ts';
import denoiseWgsl from './denoise.wgsl';
import { privateBytes } from './gpu.ts';
import type { SamplerTables } from './sampler_step.ts';

/** The sizes of a diffusion head: of h, of a block's inner layer, of a token. */
export interface HeadSizes {
  blocks: number;
  width: number;
  inner: number;
  channels: number;
  eps: number;
}

/** A diffusion head's weights as one kernel finds them, all bf16. */
export interface HeadWeights extends HeadSizes {
  /** Side by side, by eights: W₁ and W₂ of each block, then W of the final layer and of the input projection. */
  weights: Tensor;
  /** The same by fours: the norm's weight and bias, b₁ and b₂ of each block, then b of the outer layers. */
  vectors: Tensor;
}

/** Most weights of the blocks of a head that takes less time than launching its kernels one by one. */
const mostWeights = 2 ** 21;

/** Threads that lib/reduce.wgsl sums a row with on software. */
const sumParts = 8;

/** Bytes of a thread's own variables that a band takes: h, normed and the inner layer in bf16, x and u in f32, a quad's sums. */
const bandBytes = ({ width, inner, channels }: HeadSizes): number =>
  4 * width + 2 * inner + 8 * channels + 16 * sumParts;

/** Bands of a workgroup: more gather a weight for more rows, and take longer to compile. */
const mostBands = 2;

/**
 * Whether `denoise` serves heads of these sizes: small ones, on wide vectors of a CPU, which is slow to launch kernels.
 * @param noisy whether steps add noise
 */
export function canDenoise(device: Device, head: HeadSizes, noisy: boolean): boolean {
  const { blocks, width, inner, channels } = head,
    { software, subgroupSize: lanes, limits, maxBinding } = device;
  return (
    software &&
    blocks > 0 &&
    lanes >= sumParts &&
    width % (4 * lanes) === 0 &&
    inner % (4 * lanes) === 0 &&
    channels % 8 === 0 &&
    2 * blocks * width * inner <= mostWeights &&
    bandBytes(head) <= privateBytes &&
    2 * (2 * width * (blocks * inner + channels)) <= maxBinding &&
    limits.maxStorageBuffersPerShaderStage >= (noisy ? 9 : 7)
  );
}

/**
 * The bands of a workgroup's rows, and the tokens of each: few workgroups, since each reads all weights, but on each core as
 * many as on the others.
 * @param most bands that a thread has room for
 */
function bandsOf(cores: number, tokens: number, branches: number, most: number): { bands: number; each: number } {
  const widest = Math.floor(sumParts / branches),
    rounds = Math.ceil(tokens / (cores * most * widest)),
    share = Math.ceil(tokens / Math.min(tokens, rounds * cores)),
    bands = Math.ceil(share / widest);
  return { bands, each: Math.ceil(share / bands) };
}

/** Shapes of `HeadWeights`. */
export const headShapes = ({ blocks, width, inner, channels }: HeadSizes): Record<'weights' | 'vectors', number[]> => ({
  weights: [(2 * width * (blocks * inner + channels)) / 8, 8],
  vectors: [(blocks * (3 * width + inner) + width + channels) / 4, 4],
});

/**
 * Some sampler steps in a row, x in place: in one launch what the layers' kernels and `denoiseStep` do, with the same bits.
 * @param x f32 [branches × tokens, channels], the branches alike
 * @param modulation bf16 [steps × branches × tokens, (3 blocks + 2) width]: shift, scale and gate of each block, then shift
 *   and scale of the final layer
 */
export function denoise(
  p: Recorder,
  x: Tensor,
  modulation: Tensor,
  head: HeadWeights,
  tables: SamplerTables,
  branches: number,
  steps: number,
): void {
  const { blocks, width, inner, channels, eps, weights, vectors } = head,
    { coefficients, step, guidance, stepNoise, chosen } = tables;
  checkShape(x.type === 'f32' && x.cols === channels, 'denoise', `x f32[rows, ${channels}]`, x);
  checkShape(
    modulation.type === 'bf16' && modulation.rows === steps * x.rows && modulation.cols >= (3 * blocks + 2) * width,
    'denoise',
    `a modulation bf16[${steps * x.rows}, ${(3 * blocks + 2) * width}]`,
    x,
    modulation,
  );
  const tokens = x.rows / branches,
    lanes = p.device.subgroupSize,
    { bands, each } = bandsOf(
      p.device.cores,
      tokens,
      branches,
      Math.min(mostBands, Math.floor(privateBytes / bandBytes(head))),
    );
  const rows = each * branches,
    turns = [2, 4, 8].find((n) => n >= rows)! * (lanes / sumParts), // in which sums reach their rows
    givers = lanes / turns;
  const read = [modulation, weights, vectors, coefficients, step, guidance];
  if (stepNoise) read.push(stepNoise, chosen);
  p.operation({
    name: 'denoise',
    source: denoiseWgsl,
    read,
    write: [x],
    constants: {
      lanes,
      bands,
      tokens: each,
      branches,
      rows,
      turns,
      givers,
      guides: branches === 2,
      noisy: stepNoise !== undefined,
      width: quads(width),
      inner: quads(inner),
      channels: quads(channels),
      out: read.length,
      uniforms: read.length + 1,
    },
    uniforms: [
      tokens,
      steps,
      blocks,
      quads(width),
      quads(inner),
      quads(channels),
      f32Bits(eps),
      modulation.pitch / 4,
      (stepNoise?.rows ?? 0) / coefficients.rows,
      bands,
      rows,
      turns,
      givers,
      sumParts,
    ],
    workgroups: [Math.ceil(tokens / (bands * each))],
  });
}
