import type { ShaderSource } from '../engine/preprocessor.ts';
import mathWgsl from './lib/math.wgsl';
import randomWgsl from './lib/random.wgsl';
import reduceWgsl from './lib/reduce.wgsl';
import typesWgsl from './lib/types.wgsl';

/** What a shader of one's own may include: element types, exp and its kin, sums over a workgroup, random numbers. */
export const library: Readonly<Record<string, ShaderSource>> = {
  'lib/types.wgsl': typesWgsl,
  'lib/math.wgsl': mathWgsl,
  'lib/reduce.wgsl': reduceWgsl,
  'lib/random.wgsl': randomWgsl,
};
