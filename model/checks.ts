/** What callers give as numbers of their own, checked before anything runs. */
import { MMARError } from '../base/error.ts';
import type { DrawingInput } from './drawing.ts';
import type { Segment } from './sequence.ts';
import { type DrawingSettings, mostSteps } from './settings.ts';
import type { System } from './system.ts';

/** Throws `usage` unless these are options that a call can have. */
export function checkOptions(options: unknown): void {
  if (typeof options !== 'object' || options === null)
    throw new MMARError(
      'usage',
      `what is asked for is ${String(options)}; give an object such as { prompt: 'rocket' }`,
    );
  const { signal } = options as { signal?: AbortSignal };
  if (signal !== undefined && typeof signal?.addEventListener !== 'function')
    throw new MMARError('usage', `signal is ${String(signal)}; give an AbortSignal`);
}

/** Throws `shape` unless there are as many numbers as the shape says. */
export function checkNumbers(name: string, values: ArrayLike<number> | undefined, shape: readonly number[]): void {
  const wanted = shape.reduce((a, b) => a * b, 1);
  if (values?.length === wanted) return;
  throw new MMARError(
    'shape',
    `${name} has ${values?.length ?? 'no'} numbers; want the ${wanted} of [${shape.join(', ')}]`,
  );
}

/** Throws `usage` where one is no id of the vocabulary, or of image start and end. */
function checkIds(name: string, ids: readonly number[], { config: { llm } }: System): void {
  const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < llm.vocab_size + 2));
  if (wrong !== undefined)
    throw new MMARError('usage', `${name} has the id ${wrong}; give ids from 0 to ${llm.vocab_size - 1}`);
}

export function checkSegments(segments: readonly Segment[], system: System): void {
  for (const segment of segments) {
    if ('ids' in segment) checkIds('the text', segment.ids, system);
    else checkNumbers('tokens', segment.image.tokens, system.imageShape);
  }
}

export function checkDrawing(
  { before, uncond, pictures }: DrawingInput,
  { steps, eta }: DrawingSettings,
  system: System,
): void {
  const [L, d] = system.imageShape;
  checkIds('before', before, system);
  checkIds('uncond', uncond, system);
  for (const { chance } of pictures) {
    if ('seed' in chance) continue;
    const { noise, stepNoise, uniform } = chance;
    if (uniform) checkNumbers('uniform', uniform, [L]);
    if (noise) checkNumbers('noise', noise, [L, d]);
    if (noise && eta > 0) checkNumbers('step_noise', stepNoise, [mostSteps(steps), L, d]);
  }
}

/** Throws `usage` where a picture's tokens are no numbers any more. */
export function checkDrawn(tokens: Float32Array, { cfg, temperature }: DrawingSettings): void {
  if (tokens.every(Number.isFinite)) return;
  throw new MMARError(
    'usage',
    `the picture left the numbers that f32 has, with cfg ${cfg} and temperature ${temperature}; give smaller ones, or check the checkpoint's weights`,
  );
}
