import readline from 'node:readline';
import type { Command } from 'commander';
import { MMARError } from '../../base/error.ts';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import type { Message } from '../../loaders/tokenizer.ts';
import { answerSettings } from '../../model/settings.ts';
import { loadQwen2, type TextModel } from '../../model/text_model.ts';
import { nodePlatform } from '../../platform/node.ts';
import { say } from '../errors.ts';
import { type CommonOptions, option, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { printed, withDevice } from '../session.ts';
import { settingOption } from '../setting_options.ts';

interface Options extends CommonOptions {
  system?: string;
  maxNewTokens: number;
  temperature?: number;
  topP?: number;
  seed: number;
}

const examples = `
The text model alone is loaded: that of --llm, a plain Qwen2 or Qwen2.5 folder, or that within --model. Each line that is
read is a turn; /reset begins anew, /exit ends (so does the end of the input). With --json each answer is one line.
Temperature and top-p are the Qwen2 folder's own (generation_config.json) unless given.

Examples:
  mmar chat --llm ./Qwen2.5-0.5B-Instruct
  mmar chat --llm ./Qwen2.5-0.5B-Instruct --system "Answer in one word." --temperature 0.7 --top-p 0.8
  echo "Name three colours." | mmar chat --llm ./Qwen2.5-0.5B-Instruct --json | jq -r .text`;

export function addChat(program: Command): void {
  withCommon(program.command('chat').description('Talk to the text model.'))
    .addOption(option('--system <text>', "the system's message (default: the chat template's)", someText))
    .addOption(settingOption('max_new_tokens', answerSettings.max_new_tokens).default(512))
    .addOption(settingOption('temperature', answerSettings.temperature))
    .addOption(settingOption('top_p', answerSettings.top_p))
    .addOption(settingOption('seed', answerSettings.seed).default(0))
    .addHelpText('after', examples)
    .action(chat);
}

async function chat(options: Options): Promise<void> {
  const { llm, set, vae } = options;
  if (llm && (set || vae)) throw new MMARError('usage', '--set and --vae change an MMAR checkpoint; give --llm alone');
  await withDevice(
    options,
    async (opened) => {
      const model = await loadQwen2(opened.checkpoint, { precision: options.precision, ...opened.loading() });
      opened.loaded();
      await talk(model, options, opened.signal);
    },
    llm ? () => openCheckpoint(nodePlatform.source(llm)) : undefined,
  );
}

async function talk(
  model: TextModel,
  { system, maxNewTokens: max_new_tokens, temperature, topP: top_p, seed, json }: Options,
  signal: AbortSignal,
): Promise<void> {
  const first: Message[] = system ? [{ role: 'system', content: system }] : [],
    interactive = process.stdin.isTTY && !json;
  const lines = readline.createInterface({
    input: process.stdin,
    output: interactive ? process.stdout : undefined,
    prompt: '> ',
    signal,
  });
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT')); // readline takes Ctrl-C from the terminal
  let messages = [...first];
  if (interactive) lines.prompt();
  for await (const line of lines) {
    const text = line.trim();
    if (text === '/exit') break;
    if (text === '/reset') messages = [...first];
    else if (text) {
      try {
        const answer = await answerTo([...messages, { role: 'user', content: text }]);
        messages.push({ role: 'user', content: text }, { role: 'assistant', content: answer });
      } catch (error) {
        if (!interactive || !(error instanceof MMARError && error.code === 'usage')) throw error;
        say(error.message); // this turn cannot be answered, the next one may be
      }
    }
    if (interactive) lines.prompt();
  }
  lines.close();
  if (signal.aborted) throw new MMARError('cancelled', 'cancelled');

  async function answerTo(turns: Message[]): Promise<string> {
    const start = performance.now();
    const stream = model.chatStream({ messages: turns, max_new_tokens, temperature, top_p, seed, signal });
    const { text, finishReason, usage } = await printed(stream, !json);
    const seconds = secondsSince(start);
    console.log(json ? JSON.stringify({ text, tokens: usage.answerTokens, finish_reason: finishReason, seconds }) : '');
    return text;
  }
}
