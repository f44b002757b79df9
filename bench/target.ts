import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import { preprocess } from '../engine/preprocessor.ts';
import type { Candidate } from '../engine/program.ts';
import { namedConfig } from './configs.ts';
import { matmulShape, type RecordedShape, recordShapes } from './shapes.ts';
import type { Sizes } from './sizes.ts';
import { workOf } from './work.ts';

/** A kernel to take the place of: its name, its variant where one is wanted, and the shape. */
export interface Target {
  /** `matmul`, `matmul:direct`, `rms_norm`, … */
  as: string;
  /** Sizes of a matrix product; the model's most costly shape unless given. */
  shape?: Sizes;
  /** The model whose shape it is. */
  config?: string;
}

/** Finds the recorded shape and the candidate of a target; a `usage` error names what there is. */
export async function findTarget(
  device: Device,
  { as, shape: sizes, config = 'emoji' }: Target,
): Promise<{ shape: RecordedShape; candidate: Candidate }> {
  const [name, variant] = as.split(':');
  if (sizes && name !== 'matmul')
    throw new MMARError('usage', `${name} has no shape ${sizes.join('×')}: that is a matrix product's; give none`);
  const all = sizes ? [await matmulShape(device, sizes)] : await recordShapes(device, namedConfig(config), config),
    known = [...new Set(all.map(({ dispatch }) => dispatch.name))].sort();
  const cost = (s: RecordedShape) => Math.max(1, s.calls) * (workOf(s).flops ?? workOf(s).bytes);
  const [shape] = all.filter(({ dispatch }) => dispatch.name === name).sort((a, b) => cost(b) - cost(a));
  if (!shape)
    throw new MMARError('usage', `no kernel is called ${JSON.stringify(name)}; give one of ${known.join(', ')}`);
  const candidate = variant === undefined ? shape.candidates[0] : shape.candidates.find((c) => c.variant === variant);
  if (!candidate)
    throw new MMARError(
      'usage',
      `${name} has no variant ${JSON.stringify(variant)} here; give one of ${shape.candidates.map((c) => c.variant).join(', ')}`,
    );
  return { shape, candidate };
}

/** What a target of a model's may be called: each kernel, and each of its variants where it has several. */
export async function targetNames(device: Device, config: string): Promise<string[]> {
  const names = new Set<string>();
  for (const { dispatch, candidates } of await recordShapes(device, namedConfig(config), config)) {
    if (candidates.length < 2) names.add(dispatch.name);
    else for (const { variant } of candidates) names.add(`${dispatch.name}:${variant}`);
  }
  return [...names].sort();
}

/** A source with all of its constants, files and branches filled in, or the file that a person wrote. */
export type SourceForm = 'compiled' | 'written';

/**
 * A candidate's source, to change: its first line is the number of workgroups, which `tryShader` reads. As it is written, a
 * second one says what its constants are.
 */
export function sourceOf({ source, constants, workgroups }: Candidate, form: SourceForm): string {
  const [x, y = 1, z = 1] = workgroups;
  const first = `// workgroups ${x} ${y} ${z}\n`;
  if (form === 'compiled') return first + preprocess(source, constants).code;
  const values = Object.entries(constants ?? {}).map(([name, value]) => `${name} = ${value}`);
  const second = values.length ? `// constants: ${values.join(', ')}\n` : '';
  return first + second + source.text;
}

/** The number of workgroups that a source asks for; that of the kernel in whose place it stands, where it says none. */
export function workgroupsOf(wgsl: string, { workgroups }: Candidate): Candidate['workgroups'] {
  const said = /^\s*\/\/ workgroups (\d+) (\d+) (\d+)\s*$/m.exec(wgsl);
  return said ? [Number(said[1]), Number(said[2]), Number(said[3])] : workgroups;
}
