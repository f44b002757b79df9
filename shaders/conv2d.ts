import type { Candidate, Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { checkShape, quads } from './common.ts';
import conv2dWgsl from './conv2d.wgsl';
import conv2dTiledWgsl from './conv2d_tiled.wgsl';
import { registers, sharing } from './gpu.ts';
import { rowsAtOnce, tilings } from './tiling.ts';

/** A picture of activations: `x` is [height × width, channels]. */
export interface Map2D {
  x: Tensor;
  height: number;
  width: number;
}

/** A convolution's weights: [out, 3 × 3 × in (in whole quads)] and [out]. */
export interface Conv {
  weight: Tensor;
  bias: Tensor;
}

/**
 * 3×3 convolution, channels last (spec section 2): straight from memory, or tiled as a matmul, with the same bits.
 * @param options.stride 2 halves the picture, padded right and bottom by one
 * @param options.upsample reads the input at twice its size, by nearest neighbour
 * @param options.residual added to the result
 */
export function conv2d(
  p: Recorder,
  { x, height, width }: Map2D,
  { weight, bias }: Conv,
  options: { stride?: 1 | 2; upsample?: 1 | 2; residual?: Tensor; type?: ElementType } = {},
): Map2D {
  const { stride = 1, upsample = 1, residual } = options,
    inQuads = x.pitch / 4;
  checkShape(
    x.rows === height * width && weight.cols === 36 * inQuads,
    'conv2d',
    `x [${height} × ${width}, in], w [out, 9 × in]`,
    x,
    weight,
  );
  checkShape(
    bias.cols === weight.rows && bias.type === weight.type,
    'conv2d',
    `a bias ${weight.type}[${weight.rows}]`,
    weight,
    bias,
  );
  // Stride 2: padded by one to the right and below, so that floor((n + 1 - 3) / 2) + 1 = floor(n / 2) remain.
  const outHeight = stride === 2 ? Math.floor(height / 2) : height * upsample,
    outWidth = stride === 2 ? Math.floor(width / 2) : width * upsample;
  const y = p.tensor(weight.name, options.type ?? residual?.type ?? x.type, [outHeight * outWidth, weight.rows]);
  checkShape(
    !residual || (residual.rows === y.rows && residual.cols === y.cols && residual.type === y.type),
    'conv2d',
    `a residual ${y.type}[${y.rows}, ${y.cols}]`,
    residual ?? y,
  );
  const read = residual ? [x, weight, bias, residual] : [x, weight, bias];
  const constants = {
    x: x.type,
    w: weight.type,
    weights: 'w',
    y: y.type,
    stride,
    upsample,
    pad: stride === 2 ? 0 : 1,
    residual: residual ? 3 : 0,
    out: read.length,
    uniforms: read.length + 1,
  };
  // Wide vectors gain from reading w less often; narrow registers hold few pixels.
  const tile_m = Math.min(!p.device.software && registers(p.device) === 'few' ? 2 : 8, outWidth),
    tiles = Math.ceil(outWidth / tile_m);
  const uniforms = [height, width, outHeight, outWidth, inQuads, weight.rows, quads(weight.rows), tiles, 9, 0],
    flop = 2 * y.rows * weight.rows * weight.cols;
  const tiled = tilings(p.device, y.rows, weight.rows).map(
    ({ variant, constants: own, lanes, tileRows }): Candidate => ({
      variant,
      source: conv2dTiledWgsl,
      constants: { ...own, ...constants, transposed: true },
      workgroups: [Math.ceil(y.pitch / 4 / lanes), Math.ceil(y.rows / tileRows)],
      rowsAtOnce: rowsAtOnce(p.device, Math.ceil(y.rows / tileRows), flop),
    }),
  );
  const lanes = p.device.software ? 8 : 32;
  const direct: Candidate = {
    variant: 'direct',
    source: conv2dWgsl,
    constants: { ...constants, lanes, tile_m, ...sharing(p.device, lanes, tile_m) },
    workgroups: [Math.ceil(y.pitch / 4 / lanes), outHeight * tiles],
    rowsAtOnce: rowsAtOnce(p.device, outHeight * tiles, flop),
  };
  p.operation({
    name: 'conv2d',
    label: weight.name,
    read,
    write: [y],
    uniforms,
    shape: { pixels: y.rows, k: weight.cols, n: weight.rows, stride, upsample, x: x.type },
    candidates: p.device.software ? [direct, ...tiled] : [...tiled, direct],
  });
  return { x: y, height: outHeight, width: outWidth };
}
