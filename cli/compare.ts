import type { TraceTensor, TraceTensors } from '../model/trace.ts';

export interface Difference {
  /** The greatest absolute difference. */
  max: number;
  /** Root mean square of the difference over that of the reference. */
  rms: number;
}

/** How an output of `trace` stands to what is expected. */
export interface Comparison {
  /** By `expect` and, where it is there, `expect_bf16`. */
  against: Record<string, Difference>;
  /** Relative RMS of `expect_bf16` against `expect`: what bf16 costs the reference itself. */
  reference?: number;
  passed: boolean;
  note?: string;
}

/** Bounds: on the relative RMS against `expect` itself, or as a multiple of `reference`. */
export interface Rule {
  tolerance?: number;
  referenceFactor?: number;
  /** Whether integers must be equal. */
  sameIds: boolean;
}

export function compareOutputs(outputs: TraceTensors, inputs: TraceTensors, rule: Rule): Record<string, Comparison> {
  const all: Record<string, Comparison> = {};
  for (const [name, output] of outputs) {
    const expect = inputs.get(`expect.${name}`),
      bf16 = inputs.get(`expect_bf16.${name}`);
    if (expect) all[name] = compare(output, expect, bf16, rule);
  }
  return all;
}

/**
 * Compares a training step (spec: training.md, section 7): in f32 each gradient within a relative RMS of 5e-4, each tensor after
 * three steps within 2e-3, and the rest within 1e-4; in bf16 the whole gradient within 1.5 times the reference's own error.
 */
export function compareTraining(
  outputs: TraceTensors,
  inputs: TraceTensors,
  { precision, tolerance }: { precision: string; tolerance?: number },
  bf16Error: number,
): Record<string, Comparison> {
  const bound = (name: string): number => {
    if (tolerance !== undefined) return tolerance;
    if (precision === 'bf16') return Infinity;
    return name.startsWith('grad.') ? 5e-4 : name.startsWith('after3.') ? 2e-3 : 1e-4;
  };
  const all: Record<string, Comparison> = {};
  for (const [name, output] of outputs)
    Object.assign(all, compareOutputs(new Map([[name, output]]), inputs, { tolerance: bound(name), sameIds: true }));
  const names = [...outputs.keys()].filter((name) => name.startsWith('grad.') && inputs.has(`expect.${name}`)),
    join = (tensors: TraceTensor[]): TraceTensor => ({
      shape: [],
      values: tensors.flatMap(({ values }) => Array.from(values)),
    });
  const whole = difference(
    join(names.map((name) => outputs.get(name)!)),
    join(names.map((name) => inputs.get(`expect.${name}`)!)),
  );
  const most = precision === 'bf16' ? 1.5 * bf16Error : 5e-4;
  all.gradient = { against: { expect: whole }, passed: !(whole.rms > most), note: `all ${names.length} together` };
  return all;
}

function compare(
  output: TraceTensor,
  expect: TraceTensor,
  bf16: TraceTensor | undefined,
  { tolerance, referenceFactor, sameIds }: Rule,
): Comparison {
  const against: Record<string, Difference> = { expect: difference(output, expect) };
  if (bf16) against.expect_bf16 = difference(output, bf16);
  if (output.integers) {
    const length = Math.max(output.values.length, expect.values.length);
    const first = Array.from({ length }, (_, i) => i).find((i) => output.values[i] !== expect.values[i]);
    const note =
      first === undefined
        ? 'equal'
        : `differs from position ${first} on: ${output.values[first] ?? 'its end'}, want ${expect.values[first] ?? 'its end'}`;
    return { against, passed: first === undefined || !sameIds, note };
  }
  if (output.shape.join() !== expect.shape.join())
    return { against, passed: false, note: `want the shape [${expect.shape.join(', ')}]` };
  const reference = bf16 && difference(bf16, expect).rms;
  const bound =
    tolerance ?? (referenceFactor !== undefined && reference !== undefined ? referenceFactor * reference : Infinity);
  return { against, reference, passed: against.expect.rms <= bound };
}

/** Infinite where the sizes differ or an output is not finite. */
export function difference({ values: got }: TraceTensor, { values: want }: TraceTensor): Difference {
  let max = 0,
    error = 0,
    size = 0;
  for (let i = 0; i < want.length; i++) {
    const d = Math.abs(got[i] - want[i]);
    max = d >= 0 ? Math.max(max, d) : Infinity;
    error += d * d;
    size += want[i] * want[i];
  }
  const rms = error === 0 ? 0 : Math.sqrt(error / size);
  return got.length === want.length && rms >= 0 ? { max, rms } : { max: Infinity, rms: Infinity };
}
