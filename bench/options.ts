import type { Device } from '../engine/device.ts';
import type { MMAR } from '../model/mmar.ts';
import type { Report } from './report.ts';
import type { Sizes } from './sizes.ts';

/** A model to benchmark. */
export interface BenchModel {
  name: string;
  /** Its config.json. */
  json: unknown;
  /** Brings it onto the device; the benchmark closes it. */
  open(device: Device, signal?: AbortSignal): Promise<MMAR>;
}

export interface BenchOptions {
  /** `limits`, `kernels`, `model`, or names of kernels; all unless given. */
  only?: string[];
  /** Two minutes at most, with fewer samples of fewer shapes; what has no time is named in a note. */
  quick?: boolean;
  /** Seconds from its start after which a quick run leaves each part; what it then does to its end takes some seconds more. */
  until?: { limits: number; kernels: number; model: number };
  /** Whose whole is measured, and whose shapes: MMAR-0.5B and the carried model unless given. */
  config?: string;
  /** A checkpoint with weights of its own in place of a named config. */
  model?: BenchModel;
  /** Matrix products in place of the models'. */
  shapes?: Sizes[];
  /** Bytes that the device can hold, where that is known. */
  available?: number;
  signal?: AbortSignal;
  /** What is being done. */
  onProgress?: (what: string) => void;
  /** The report so far, after each part of it. */
  onReport?: (report: Report) => void;
}
