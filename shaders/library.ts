import type { ShaderSource } from '../engine/preprocessor.ts';
import elementsWgsl from './lib/elements.wgsl';
import mathWgsl from './lib/math.wgsl';
import randomWgsl from './lib/random.wgsl';
import reduceWgsl from './lib/reduce.wgsl';
import typesWgsl from './lib/types.wgsl';

/** What a shader of one's own may include: types of elements, exp and its kin, a launch, sums of a workgroup, random numbers. */
export const library: Readonly<Record<string, ShaderSource>> = {
  'lib/types.wgsl': typesWgsl,
  'lib/math.wgsl': mathWgsl,
  'lib/elements.wgsl': elementsWgsl,
  'lib/reduce.wgsl': reduceWgsl,
  'lib/random.wgsl': randomWgsl,
};
