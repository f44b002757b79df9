import type { Command } from 'commander';
import { answerSettings } from '../../model/settings.ts';
import { say } from '../errors.ts';
import { readPicture } from '../files.ts';
import { type CommonOptions, option, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { printed, withModel } from '../session.ts';
import { settingOption } from '../setting_options.ts';

interface Options extends CommonOptions {
  question: string;
  maxNewTokens?: number;
  temperature: number;
  topP: number;
  seed: number;
  verbose?: boolean;
}

const examples = `
The most tokens of an answer are the checkpoint's own (generation_config.json) unless given.

Examples:
  mmar describe apple.png
  mmar describe apple.png --question "Which group is it in?"
  mmar describe photo.jpg --temperature 0.8 --top-p 0.9 --seed 7
  mmar describe apple.png --json | jq -r .text`;

export function addDescribe(program: Command): void {
  withCommon(
    program
      .command('describe')
      .description('Read a picture: answer a question about it.')
      .argument('<image>', 'a PNG, JPEG or WebP file'),
  )
    .addOption(option('--question <text>', 'what to ask', someText).default('What is this?'))
    .addOption(settingOption('max_new_tokens', answerSettings.max_new_tokens))
    .addOption(settingOption('temperature', answerSettings.temperature).default(0))
    .addOption(settingOption('top_p', answerSettings.top_p).default(1))
    .addOption(settingOption('seed', answerSettings.seed).default(0))
    .option('--verbose', 'say on stderr how long it took')
    .addHelpText('after', examples)
    .action(describe);
}

async function describe(file: string, options: Options): Promise<void> {
  const { question, maxNewTokens: max_new_tokens, temperature, topP: top_p, seed, json } = options;
  const image = await readPicture(file);
  await withModel(options, async ({ model, adapter, progress, signal }) => {
    const start = performance.now();
    progress.busy('reading the picture');
    const stream = model.describeStream({ image, question, max_new_tokens, temperature, top_p, seed, signal });
    const { text, finishReason, usage } = await printed(stream, !json, () => progress.stop());
    progress.stop();
    const seconds = secondsSince(start);
    const tokens = usage.answerTokens;
    console.log(json ? JSON.stringify({ text, tokens, finish_reason: finishReason, seconds }) : '');
    if (options.verbose) say(`${tokens} tokens in ${seconds.toFixed(2)} s on ${adapter}`);
  });
}
