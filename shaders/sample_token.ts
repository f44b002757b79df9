import type { Recorder } from '../engine/program.ts';
import type { Tensor } from '../engine/tensor.ts';
import { checkShape, reduceLanes } from './common.ts';
import { textStream } from './random.ts';
import sampleTokenWgsl from './sample_token.wgsl';
import sampleTokenMassesWgsl from './sample_token_masses.wgsl';
import sampleTokenPeaksWgsl from './sample_token_peaks.wgsl';
import type { Sequences } from './sequences.ts';

export interface TokenSampling {
  /** 0: the likeliest token. */
  temperature: number;
  /** Mass of the nucleus that is drawn from, (0, 1]; 1: all tokens. */
  top_p: number;
}

/**
 * Writes the next token of a branch to its ids, at its position. Ties go to the lowest id.
 * @param logits f32 [1, vocab_size or more]
 * @param seed u32 [2], read on the device
 * @param sampling f32 [2], temperature and top_p (see `TokenSampling`), read on the device
 */
export function sampleToken(
  p: Recorder,
  logits: Tensor,
  seed: Tensor,
  seq: Sequences,
  vocab_size: number,
  sampling: Tensor,
): void {
  checkShape(
    logits.type === 'f32' && logits.rows === 1 && logits.cols >= vocab_size && vocab_size > 0 && sampling.cols === 2,
    'sample_token',
    `logits f32 [1, ${vocab_size} or more], sampling f32 [2]`,
    logits,
    sampling,
  );
  const chunk = p.device.software ? 4096 : 1024,
    chunks = Math.ceil(vocab_size / chunk),
    peaks = p.tensor('sample_token peaks', 'u32', [chunks, 4]),
    masses = p.tensor('sample_token masses', 'f32', [chunks, pitch]);
  const constants = { chunk, chunks, pitch },
    lanes = reduceLanes(p);
  p.operation({
    name: 'sample_token_peaks',
    source: sampleTokenPeaksWgsl,
    constants: { ...constants, lanes },
    read: [logits],
    write: [peaks],
    uniforms: [vocab_size],
    workgroups: [chunks],
  });
  p.operation({
    name: 'sample_token_masses',
    source: sampleTokenMassesWgsl,
    constants: { ...constants, lanes },
    read: [logits, peaks, sampling],
    write: [masses],
    uniforms: [vocab_size],
    workgroups: [chunks],
  });
  p.operation({
    name: 'sample_token',
    source: sampleTokenWgsl,
    constants: { ...constants, lanes: 64 },
    read: [logits, peaks, masses, seq.position, seed, sampling],
    write: [seq.ids],
    uniforms: [vocab_size, seq.first ?? 0, seq.ids.pitch, textStream],
    workgroups: [1],
  });
}

/** From one chunk's masses to the next. */
const pitch = 28;
