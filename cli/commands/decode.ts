import type { Command } from 'commander';
import { MMARError } from '../../base/error.ts';
import { pixelsToPicture } from '../../loaders/image.ts';
import { beside, checkOutput, readPicture, readTensors, writePicture } from '../files.ts';
import { type CommonOptions, noLLM, option, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { psnrTo } from '../psnr.ts';
import { withModel } from '../session.ts';

const examples = `
Examples:
  mmar decode apple.safetensors                      writes apple.png
  mmar decode tokens.safetensors -o back.png --compare apple.png`;

export function addDecode(program: Command): void {
  withCommon(
    program
      .command('decode')
      .description('Turn tokens back into a picture.')
      .argument('<tokens>', 'a safetensors file as encode writes it'),
  )
    .addOption(option('-o, --output <file>', "PNG to write (default: the tokens' name, .png)", someText))
    .addOption(option('--compare <picture>', 'print the PSNR against this picture', someText))
    .addHelpText('after', examples)
    .action(decode);
}

async function decode(file: string, options: CommonOptions & { output?: string; compare?: string }): Promise<void> {
  const output = options.output ?? beside(file, '.png');
  checkOutput(output, '.png');
  const picture = options.compare === undefined ? undefined : await readPicture(options.compare);
  const tokens = (await readTensors(file)).tensors.get('tokens');
  if (!tokens) throw new MMARError('file', `${file} has no tensor tokens; give a file that mmar encode wrote`);
  await withModel(
    noLLM(options),
    async ({ model, progress, signal }) => {
      const { resolution } = model.config.image_tokenizer,
        start = performance.now();
      progress.busy('decoding');
      const pixels = await model.decodePixels(tokens.values, signal),
        seconds = secondsSince(start);
      progress.stop();
      await writePicture(output, pixelsToPicture(pixels, resolution));
      const db = picture && psnrTo(picture, pixels, resolution);
      if (options.json) console.log(JSON.stringify({ file: output, psnr: db, seconds }));
      else
        console.log(
          `${output}  ${resolution}×${resolution}${db === undefined ? '' : `  PSNR ${db.toFixed(2)} dB`}  ${seconds.toFixed(2)} s`,
        );
    },
    ({ image_tokens: L, image_tokenizer: { embed_dim: d } }) => {
      if (tokens.shape.join() !== `${L},${d}`)
        throw new MMARError(
          'shape',
          `${file}: tokens is [${tokens.shape.join(', ')}], this model's are [${L}, ${d}]; encode the picture with the same model`,
        );
    },
  );
}
