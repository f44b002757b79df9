import type { Device } from '../engine/device.ts';
import type { Candidate } from '../engine/program.ts';
import { configs } from './configs.ts';
import { layoutOf } from './own.ts';
import { type RecordedShape, recordShapes } from './shapes.ts';

/** A pipeline to be compiled: `KERNEL | LABEL | CONSTANTS`. */
export interface Compiled {
  title: string;
  /** What the compiler refused it for. */
  error?: string;
}

/**
 * Compiles every pipeline that the models' programs would have on this device, one after another, and runs none.
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
        compiled.push({ title, ...(await compile(device, shape, candidate)) });
      }
    }
  }
  return compiled;
}

async function compile(
  device: Device,
  shape: RecordedShape,
  { source, constants }: Candidate,
): Promise<{ error?: string }> {
  try {
    await device.pipelines.get(shape.dispatch.name, source, constants, layoutOf(shape));
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
