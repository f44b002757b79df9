/** What a training run writes into its folder: every file whole or not at all. */
import fs from 'node:fs';
import path from 'node:path';
import { MMARError } from '../base/error.ts';
import type { Device } from '../engine/device.ts';
import type { Checkpoint } from '../loaders/checkpoint.ts';
import { readHeader, safetensorsBytes, type TensorData } from '../loaders/safetensors.ts';
import { makeFolder } from '../platform/folder.ts';
import { folderSource, writeFileWhole } from '../platform/node.ts';
import { lossCurve } from '../training/loss_curve.ts';
import type { Progress, TrainingRun } from '../training/run.ts';
import { learnedTensors, loadState, modelParts, saveState } from '../training/state.ts';

const stateFile = 'state.safetensors',
  patchFile = 'patch.safetensors',
  modelFolder = 'model',
  modelTexts = [
    'config.json',
    'generation_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'chat_template.jinja',
  ];

/** What is for use behind a run: the learned tensors alone, or a checkpoint with all. */
export type Saved = 'patch' | 'model';

/** A line of `log.jsonl`: a step, or the held-out losses behind it. */
export type LogLine = Progress & { examples_per_second: number; seconds: number; held_out?: HeldOut };
type HeldOut = { loss_image: number; loss_text: number };

/** A run's folder. */
export class TrainingFolder {
  private readonly lines: LogLine[] = [];

  constructor(readonly folder: string) {}

  path(file: string): string {
    return path.join(this.folder, file);
  }

  /** Makes it. Throws `file` where a run is there that is not resumed, or none that is. */
  open(resume: boolean): void {
    const there = fs.existsSync(this.path(stateFile));
    if (there && !resume)
      throw new MMARError(
        'file',
        `${this.folder} holds a run already; give --resume to go on with it, or another --out`,
      );
    if (!there && resume)
      throw new MMARError('file', `${this.folder} has no ${stateFile} to resume from; begin without --resume`);
    try {
      makeFolder(this.folder);
      fs.accessSync(this.folder, fs.constants.W_OK);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      const problem = code === 'EEXIST' ? 'is a file' : `cannot be written (${code})`;
      throw new MMARError('file', `--out ${this.folder} ${problem}; give a folder that can be`, { cause });
    }
    if (!resume) fs.rmSync(this.path('log.jsonl'), { force: true }); // of a run that was stopped before its first save
  }

  /** What the run that is resumed was begun with, and the step that it was saved behind. */
  async saved(): Promise<{ step: number; options: string }> {
    const source = folderSource(this.folder);
    try {
      const { metadata } = await readHeader(source, stateFile);
      return { step: Number(metadata.step), options: metadata.options };
    } finally {
      await source.close();
    }
  }

  /** Puts a saved run's state back, and forgets what was logged behind it. */
  async resume(device: Device, run: TrainingRun, step: number): Promise<void> {
    const source = folderSource(this.folder);
    try {
      await loadState(device, run.optimiser.states, source, stateFile);
    } finally {
      await source.close();
    }
    run.done = step;
    const log = this.path('log.jsonl');
    if (fs.existsSync(log))
      for (const line of fs.readFileSync(log, 'utf8').split('\n').filter(Boolean)) {
        const parsed = JSON.parse(line) as LogLine;
        if (parsed.step <= step) this.lines.push(parsed);
      }
    await this.writeWhole('log.jsonl', this.lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }

  log(line: LogLine): void {
    this.lines.push(line);
    const file = this.path('log.jsonl');
    try {
      fs.appendFileSync(file, `${JSON.stringify(line)}\n`);
    } catch (cause) {
      throw new MMARError('file', `cannot write ${file}: ${(cause as Error).message}; make room, then --resume`, {
        cause,
      });
    }
  }

  drawCurve(): Promise<void> {
    const heldOut = this.lines.flatMap(({ step, held_out }) => (held_out ? [{ step, ...held_out }] : []));
    return this.writeWhole('loss.svg', lossCurve(this.lines, heldOut));
  }

  /** The state from which `--resume` goes on with the same bits, then what is for use; returns its place. */
  async save(
    device: Device,
    run: TrainingRun,
    options: string,
    what: Saved,
    checkpoint: Checkpoint,
    names: Iterable<string>,
  ): Promise<string> {
    const states = run.optimiser.states,
      step = String(run.done);
    await this.writeTensors(stateFile, await saveState(device, states), { step, options });
    const learned = await learnedTensors(device, states);
    if (what === 'model') return this.saveModel(checkpoint, modelParts(checkpoint, names, learned, { step }));
    await this.writeTensors(patchFile, learned, { step });
    return this.path(patchFile);
  }

  /** The tensors last, in one file: until it is there whole, there is no checkpoint. */
  private async saveModel(checkpoint: Checkpoint, parts: AsyncGenerator<Uint8Array>): Promise<string> {
    makeFolder(this.path(modelFolder));
    for (const file of modelTexts) {
      const text = await checkpoint.text(file);
      if (text !== undefined) await this.writeWhole(path.join(modelFolder, file), text);
    }
    await writeFileWhole(this.path(path.join(modelFolder, 'model.safetensors')), parts);
    return this.path(modelFolder);
  }

  private writeTensors(file: string, tensors: TensorData[], metadata: Record<string, string>): Promise<void> {
    return writeFileWhole(this.path(file), safetensorsBytes(tensors, metadata));
  }

  private writeWhole(file: string, text: string): Promise<void> {
    return writeFileWhole(this.path(file), new TextEncoder().encode(text));
  }
}
