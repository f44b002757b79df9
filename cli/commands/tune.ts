import type { Command } from 'commander';
import { recordShapes } from '../../bench/shapes.ts';
import { type Tuned, tune } from '../../bench/tune.ts';
import { nodeTuning } from '../../platform/node_tuning.ts';
import { type CommonOptions, option, real, withCommon } from '../options.ts';
import { table } from '../progress.ts';
import { withDevice } from '../session.ts';
import { machineOf } from '../tuning.ts';

interface Options extends CommonOptions {
  clear?: boolean;
  seconds: number;
}

const examples = `
Measures, on this machine, the kernels that the model's programs run, and keeps the fastest for every later start. The
choice never changes a picture. --no-tune on other commands does without what was measured.

Examples:
  mmar tune                     the carried model, on the best adapter
  mmar tune --model DIR --seconds 20
  mmar tune --clear             forget all that was measured`;

export function addTune(program: Command): void {
  withCommon(program.command('tune').description('Choose the fastest kernels for this machine by measuring them.'))
    .addOption(option('--seconds <n>', 'most time to take', real(0)).default(60))
    .option('--clear', 'forget what was measured on all adapters, and measure nothing')
    .addHelpText('after', examples)
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.clear) return nodeTuning.clear();
  await withDevice(options, async ({ checkpoint, device, adapter, progress, signal }) => {
    const json = await checkpoint.json('config.json', signal);
    const shapes = await recordShapes(device, json, checkpoint.source.name),
      known = device.tuning.size;
    const onTuned = (_: Tuned, done: number, total: number) => {
      if (!progress.shown) progress.start('tuning', total, String);
      progress.update(done);
    };
    const tuned = await tune(device, machineOf(device), shapes, {
      store: nodeTuning,
      seconds: options.seconds,
      signal,
      onTuned,
    });
    progress.stop();
    if (options.json) return console.log(JSON.stringify({ adapter, known, tuned }, null, 1));
    const rows = [['kernel', 'shape', 'chosen', 'ms', 'by rule', 'ms'], ...tuned.map(rowOf)];
    for (const line of table(rows)) console.log(line);
    console.log(`${tuned.length} measured on ${adapter}, ${known} known before`);
  });
}

const rowOf = (t: Tuned): string[] => [t.kernel, t.shape, t.variant, t.ms.toFixed(3), t.rule, t.rule_ms.toFixed(3)];
