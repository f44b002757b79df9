import path from 'node:path';
import type { Command } from 'commander';
import { beside, check_output, read_picture, write_tensors } from '../files.ts';
import { type CommonOptions, option, some_text, with_common } from '../options.ts';
import { seconds_since } from '../progress.ts';
import { psnr_to } from '../psnr.ts';
import { with_model } from '../session.ts';

const examples = `
Examples:
  mmar encode apple.png                        writes apple.safetensors
  mmar encode apple.png -o tokens.safetensors --json`;

export function add_encode(program: Command): void {
  with_common(program.command('encode').description("Turn a picture into its tokens, and say how well they keep it.").argument('<picture>', 'a PNG, JPEG or WebP file'))
    .addOption(option('-o, --output <file>', "safetensors file to write, tensor tokens F32 [L, d] (default: the picture's name, .safetensors)", some_text))
    .addHelpText('after', examples)
    .action(encode);
}

async function encode(file: string, options: CommonOptions & { output?: string }): Promise<void> {
  const output = options.output ?? beside(file, '.safetensors');
  check_output(output, '.safetensors');
  const picture = await read_picture(file);
  await with_model(options, async ({ model, progress, signal }) => {
    const { image_tokens, image_tokenizer: { embed_dim, resolution } } = model.config, start = performance.now();
    progress.busy('encoding');
    const tokens = await model.encode(picture, signal), seconds = seconds_since(start), shape = [image_tokens, embed_dim];
    const db = psnr_to(picture, await model.decode_pixels(tokens, signal), resolution);
    progress.stop();
    await write_tensors(output, new Map([['tokens', { shape, values: tokens }]]), { part: 'encode', picture: path.basename(file), resolution: String(resolution) });
    if (options.json) console.log(JSON.stringify({ file: output, shape, psnr: db, seconds }));
    else console.log(`${output}  tokens [${shape.join(', ')}]  PSNR ${db.toFixed(2)} dB at ${resolution}×${resolution}  ${seconds.toFixed(2)} s`);
  });
}
