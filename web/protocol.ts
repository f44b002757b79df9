/** What a page and its worker say to each other. */

import type { ErrorCode } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import type { AdapterDescription } from '../engine/adapter.ts';
import type { Config } from '../model/config.ts';
import type { LoadProgress } from '../model/load_weights.ts';
import type { Prediction } from '../model/sampler.ts';
import type { DrawingSettings, SettingsTable } from '../model/settings.ts';
import type { BoardSettings } from '../numerics/chessboard.ts';
import type { NumberType } from '../numerics/number_types.ts';
import type { RunScore } from '../numerics/simulation.ts';
import type { Traffic } from '../platform/block_source.ts';

/** From the page: a call, or the end of one whose signal was aborted. */
export type Call = { id: number; method: string; args: unknown[] } | { abort: number };

/** From the worker: what came of a call or what it has to tell meanwhile, or something that no call asked for. */
export type Answer =
  | { id: number; value: unknown }
  | { id: number; event: unknown }
  | { id: number; error: { code?: ErrorCode; message: string } }
  | { notice: string }
  | { lost: string };

/** How far a model is, in bytes. `loaded` of `total` are on the device; `received + kept` of `size` are on this machine. */
export interface LoadState extends LoadProgress, Traffic {
  /** All bytes of the checkpoint's weights as the server has them. */
  size: number;
  /** Bytes a second of late. */
  rate: number;
  /** Infinity while nothing is known. */
  secondsLeft: number;
  /** While a GPU's kernels are measured, before the weights come: how many are, of how many. */
  tuning?: { done: number; total: number };
}

/** A loaded model as the page sees it. */
export interface ModelDescription {
  model: number;
  config: Config;
  defaults: DrawingSettings;
  settingsTable: SettingsTable;
}

export type { AdapterDescription };

/** A run of the chessboard. */
export interface ChessboardCall extends BoardSettings {
  samples: number;
  prediction: Prediction;
  type: NumberType;
}

/** How far a run is; now and then with a picture of its points. */
export interface ChessboardState {
  done: number;
  steps: number;
  picture?: Picture;
}

export interface ChessboardResult {
  score: RunScore;
  picture: Picture;
}
