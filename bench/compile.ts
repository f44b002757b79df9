import type { Device } from '../engine/device.ts';
import type { Layout } from '../engine/pipeline.ts';
import { layoutOf } from '../engine/plan.ts';
import type { Constants, ShaderSource } from '../engine/preprocessor.ts';
import type { Candidate } from '../engine/program.ts';
import { configs } from './configs.ts';
import { type RecordedShape, recordShapes } from './shapes.ts';
import { subgroupMatrices, subgroupMatrixLayout, subgroupMatrixProbe } from './subgroup_matrix.ts';

/** A pipeline to be compiled: `KERNEL | LABEL | CONSTANTS`. */
export interface Compiled {
  title: string;
  /** What the compiler refused it for. */
  error?: string;
}

/**
 * Compiles every pipeline that the models' programs would have on this device, one after another, and the probes of its
 * subgroup matrices, and runs none.
 * @param variants every other candidate too, not the rule's choice alone
 * @param begin called before each
 */
export async function compileAll(
  device: Device,
  variants: boolean,
  begin: (title: string) => void,
): Promise<Compiled[]> {
  const done = new Set<string>(),
    compiled: Compiled[] = [];
  for (const [name, json] of Object.entries(configs)) {
    for (const shape of await recordShapes(device, json, name)) {
      for (const candidate of variants ? shape.candidates : shape.candidates.slice(0, 1)) {
        const title = titleOf(shape, candidate),
          key = `${shape.dispatch.name} ${candidate.variant} ${JSON.stringify(candidate.constants)}`;
        if (done.has(key)) continue;
        done.add(key);
        begin(title);
        const { source, constants } = candidate;
        compiled.push({
          title,
          ...(await compile(device, shape.dispatch.name, source, constants, layoutOf(shape.dispatch))),
        });
      }
    }
  }
  for (const matrix of subgroupMatrices(device)) {
    const { component, result, m, n, k } = matrix,
      title = `subgroup_matrix | limits: ${component} to ${result}, ${m}x${n}x${k} | chains=4`,
      { source, constants } = subgroupMatrixProbe(device, matrix, 4);
    begin(title);
    compiled.push({ title, ...(await compile(device, 'subgroup_matrix', source, constants, subgroupMatrixLayout)) });
  }
  return compiled;
}

async function compile(
  device: Device,
  name: string,
  source: ShaderSource,
  constants: Constants,
  layout: Layout,
): Promise<{ error?: string }> {
  try {
    await device.pipelines.get(name, source, constants, layout);
    return {};
  } catch (error) {
    return { error: (error as Error).message.split('\n')[0] };
  }
}

/** Bindings' numbers say nothing of the code. */
const bindings = ['out', 'uniforms', 'x_element'];

function titleOf({ model, dispatch: { name, label } }: RecordedShape, { variant, constants }: Candidate): string {
  const shown = Object.entries(constants).filter(([key]) => !bindings.includes(key));
  return `${name}${variant ? `:${variant}` : ''} | ${model}: ${label} | ${shown.map(([key, value]) => `${key}=${value}`).join(' ')}`;
}
