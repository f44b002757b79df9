import type { Command } from 'commander';
import { pixels_to_picture } from '../../loaders/image.ts';
import { MMARError } from '../../platform/error.ts';
import { beside, check_output, read_picture, read_tensors, write_picture } from '../files.ts';
import { type CommonOptions, option, some_text, with_common } from '../options.ts';
import { seconds_since } from '../progress.ts';
import { psnr_to } from '../psnr.ts';
import { with_model } from '../session.ts';

const examples = `
Examples:
  mmar decode apple.safetensors                      writes apple.png
  mmar decode tokens.safetensors -o back.png --compare apple.png`;

export function add_decode(program: Command): void {
  with_common(program.command('decode').description('Turn tokens back into a picture.').argument('<tokens>', 'a safetensors file as encode writes it'))
    .addOption(option('-o, --output <file>', "PNG to write (default: the tokens' name, .png)", some_text))
    .addOption(option('--compare <picture>', 'print the PSNR against this picture', some_text))
    .addHelpText('after', examples)
    .action(decode);
}

async function decode(file: string, options: CommonOptions & { output?: string; compare?: string }): Promise<void> {
  const output = options.output ?? beside(file, '.png');
  check_output(output, '.png');
  const picture = options.compare === undefined ? undefined : await read_picture(options.compare);
  const tokens = (await read_tensors(file)).tensors.get('tokens');
  if (!tokens) throw new MMARError('file', `${file} has no tensor tokens; give a file that mmar encode wrote`);
  await with_model(options, async ({ model, progress, signal }) => {
    const { resolution } = model.config.image_tokenizer, start = performance.now();
    progress.busy('decoding');
    const pixels = await model.decode_pixels(tokens.values, signal), seconds = seconds_since(start);
    progress.stop();
    await write_picture(output, pixels_to_picture(pixels, resolution));
    const db = picture && psnr_to(picture, pixels, resolution);
    if (options.json) console.log(JSON.stringify({ file: output, psnr: db, seconds }));
    else console.log(`${output}  ${resolution}×${resolution}${db === undefined ? '' : `  PSNR ${db.toFixed(2)} dB`}  ${seconds.toFixed(2)} s`);
  }, ({ image_tokens: L, image_tokenizer: { embed_dim: d } }) => {
    if (tokens.shape.join() !== `${L},${d}`) throw new MMARError('shape', `${file}: tokens is [${tokens.shape.join(', ')}], this model's are [${L}, ${d}]; encode the picture with the same model`);
  });
}
