import { angularStep, chosenTimes, type Prediction, phases, targetAngle } from '../model/sampler.ts';
import { type NumberType, relativeError } from './number_types.ts';

/** What rounding a model's output u, of unit size, to a type does at one time step. */
export interface ErrorRow {
  prediction: Prediction;
  type: NumberType;
  t: number;
  /** The error of x after one DDIM step (Eq. 18). */
  step_error: number;
  /** The same for a step of unit angle (Eq. 23). */
  unit_error: number;
  /** What it adds to the mean squared error of v (Eq. 27). */
  v_loss: number;
}

/** A row for each prediction, type and chosen time step, ascending, by the paper's δ (§6.2, 6.3). */
export function errorRows(
  predictions: readonly Prediction[],
  types: readonly NumberType[],
  { timesteps = 1000, steps = timesteps }: { timesteps?: number; steps?: number } = {},
): ErrorRow[] {
  const phi = phases(timesteps);
  const times = chosenTimes(timesteps, steps);
  const row = (prediction: Prediction, type: NumberType, t: number, j: number): ErrorRow => {
    const psi = targetAngle(prediction, phi[t]);
    const { a } = angularStep(psi, phi[t], j ? phi[times[j - 1]] : 0);
    const unit_error = relativeError(type) / Math.abs(Math.sin(psi - phi[t]));
    return { prediction, type, t, step_error: Math.abs(a) * relativeError(type), unit_error, v_loss: unit_error ** 2 };
  };
  return predictions.flatMap((prediction) => types.flatMap((type) => times.map((t, j) => row(prediction, type, t, j))));
}
