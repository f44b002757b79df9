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

interface Pipeline {
  title: string;
  kernel: string;
  source: ShaderSource;
  constants: Constants;
  layout: Layout;
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
  const compiled: Compiled[] = [];
  for (const { title, kernel, source, constants, layout } of [
    ...(await modelPipelines(device, variants)),
    ...probePipelines(device),
  ]) {
    begin(title);
    const error = await device.pipelines.get(kernel, source, constants, layout).then(
      () => undefined,
      ({ message }: Error) => message.split('\n')[0],
    );
    compiled.push(error === undefined ? { title } : { title, error });
  }
  return compiled;
}

async function modelPipelines(device: Device, variants: boolean): Promise<Pipeline[]> {
  const found = new Map<string, Pipeline>();
  for (const [name, json] of Object.entries(configs))
    for (const shape of await recordShapes(device, json, name)) {
      const { dispatch, candidates } = shape;
      for (const candidate of variants ? candidates : candidates.slice(0, 1)) {
        const { variant, source, constants } = candidate,
          key = `${dispatch.name} ${variant} ${JSON.stringify(constants)}`,
          title = titleOf(shape, candidate);
        if (!found.has(key))
          found.set(key, { title, kernel: dispatch.name, source, constants, layout: layoutOf(dispatch) });
      }
    }
  return [...found.values()];
}

const probePipelines = (device: Device): Pipeline[] =>
  subgroupMatrices(device).map((matrix) => {
    const { component, result, m, n, k } = matrix;
    return {
      title: `subgroup_matrix | limits: ${component} to ${result}, ${m}x${n}x${k} | chains=4`,
      kernel: 'subgroup_matrix',
      ...subgroupMatrixProbe(device, matrix, 4),
      layout: subgroupMatrixLayout,
    };
  });

/** Bindings' numbers say nothing of the code. */
const bindings = ['out', 'uniforms', 'x_element'];

function titleOf({ model, dispatch: { name, label } }: RecordedShape, { variant, constants }: Candidate): string {
  const shown = Object.entries(constants).filter(([key]) => !bindings.includes(key));
  return `${name}${variant ? `:${variant}` : ''} | ${model}: ${label} | ${shown.map(([key, value]) => `${key}=${value}`).join(' ')}`;
}
