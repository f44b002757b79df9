import path from 'node:path';
import type { Command } from 'commander';
import type { TraceTensors } from '../../model/trace.ts';
import { beside, checkOutput, readPicture, writeTensors } from '../files.ts';
import { type CommonOptions, noLLM, option, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { psnrTo } from '../psnr.ts';
import { withModel } from '../session.ts';

const examples = `
Examples:
  mmar encode apple.png                        writes apple.safetensors
  mmar encode apple.png -o tokens.safetensors --json`;

export function addEncode(program: Command): void {
  withCommon(
    program
      .command('encode')
      .description('Turn a picture into its tokens, and say how well they keep it.')
      .argument('<picture>', 'a PNG, JPEG or WebP file'),
  )
    .addOption(
      option(
        '-o, --output <file>',
        "safetensors file to write, tensor tokens F32 [L, d] (default: the picture's name, .safetensors)",
        someText,
      ),
    )
    .addHelpText('after', examples)
    .action(encode);
}

async function encode(file: string, options: CommonOptions & { output?: string }): Promise<void> {
  const output = options.output ?? beside(file, '.safetensors');
  checkOutput(output, '.safetensors');
  const picture = await readPicture(file);
  await withModel(noLLM(options), async ({ model, progress, signal }) => {
    const { resolution } = model.config.image_tokenizer,
      start = performance.now();
    progress.busy('encoding');
    const { tokens, codes, shape } = await model.encode({ image: picture, signal }),
      seconds = secondsSince(start);
    const db = psnrTo(picture, await model.decodePixels(tokens, signal), resolution);
    progress.stop();
    const outputs: TraceTensors = new Map([['tokens', { shape, values: tokens }]]);
    if (codes) outputs.set('codes', { shape: [codes.length], values: codes, integers: true });
    await writeTensors(output, outputs, {
      part: 'encode',
      picture: path.basename(file),
      resolution: String(resolution),
    });
    if (options.json) console.log(JSON.stringify({ file: output, shape, psnr: db, seconds }));
    else
      console.log(
        `${output}  tokens [${shape.join(', ')}]  PSNR ${db.toFixed(2)} dB at ${resolution}×${resolution}  ${seconds.toFixed(2)} s`,
      );
  });
}
