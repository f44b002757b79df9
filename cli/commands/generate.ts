import path from 'node:path';
import type { Command } from 'commander';
import type { Picture } from '../../base/platform.ts';
import type { DrawingSettings } from '../../model/drawing.ts';
import type { MMAR } from '../../model/mmar.ts';
import { usage } from '../errors.ts';
import { checkOutput, isFolder, writePicture } from '../files.ts';
import { type CommonOptions, count, oneOf, option, real, someText, withCommon } from '../options.ts';
import { megabytes, secondsSince, table } from '../progress.ts';
import { type Session, withModel } from '../session.ts';

interface Options extends CommonOptions, Partial<Omit<DrawingSettings, 'cfg_schedule'>> {
  cfgSchedule?: DrawingSettings['cfg_schedule'];
  output?: string;
  seed: number;
  count: number;
  profile?: boolean;
}

const examples = `
Examples:
  mmar generate "red apple" --seed 1
  mmar generate "cat face" -n 4 -o "cats/{n}-{seed}.png"
  mmar generate --cfg 1 -o anything.png              an empty prompt: anything
  mmar generate rocket --profile --adapter lavapipe
  mmar generate rocket --json | jq .pictures[0].file`;

export function addGenerate(program: Command): void {
  withCommon(
    program
      .command('generate')
      .description('Draw pictures from words.')
      .argument('[prompt]', 'what to draw; none: anything', ''),
  )
    .addOption(
      option(
        '-o, --output <file>',
        'PNG to write, or a folder; {seed}, {n} and {prompt} in it are filled in (default: mmar-{prompt}-{seed}.png)',
        someText,
      ),
    )
    .addOption(option('--seed <n>', 'the same seed gives the same picture', count(0)).default(0))
    .addOption(option('-n, --count <n>', 'how many pictures, with seeds from --seed up', count(1)).default(1))
    .addOption(option('--cfg <w>', 'guidance: 1 is none, more follows the words more closely', real(0)))
    .addOption(
      option(
        '--cfg-schedule <name>',
        'constant, or linear: from 1 up to --cfg as tokens become known',
        oneOf('constant', 'linear'),
      ),
    )
    .addOption(option('--iterations <n>', 'iterations of the masked AR', count(1)))
    .addOption(option('--steps <n>', 'diffusion steps of each token', count(1)))
    .addOption(option('--eta <x>', '0 is DDIM, 1 is DDPM', real(0, 1)))
    .addOption(option('--temperature <t>', 'multiplies the noise', real(0)))
    .option('--profile', 'print the seconds that each part took on the device')
    .addHelpText(
      'after',
      `\nSettings that are not given are the checkpoint's own (generation_config.json).\n${examples}`,
    )
    .action(generate);
}

async function generate(prompt: string, options: Options): Promise<void> {
  const { seed, count, json } = options;
  if (seed > Number.MAX_SAFE_INTEGER - (count - 1))
    throw usage(`--seed ${seed} with -n ${count} passes 2^53 - 1; give a smaller seed`);
  const files = Array.from({ length: count }, (_, i) => fileName(options.output, prompt, seed + i, i + 1, count));
  for (const file of files) checkOutput(file, '.png');

  await withModel(
    options,
    async (session) => {
      const { model, adapter } = session,
        pictures: { file: string; seed: number; seconds: number }[] = [];
      if (options.profile || json) model.setProfile(true);
      for (const [i, file] of files.entries()) {
        const start = performance.now(),
          picture = await draw(session, prompt, { ...options, seed: seed + i }),
          seconds = secondsSince(start);
        await writePicture(file, picture);
        pictures.push({ file, seed: seed + i, seconds });
        if (!json) console.log(`${file}  seed ${seed + i}  ${seconds.toFixed(2)} s`);
      }
      const { weights, peak } = model.memory(),
        profile = model.setProfile(false);
      if (json) console.log(JSON.stringify({ pictures, memory: { weights, peak }, adapter, profile }));
      else console.log(summary(model, adapter, options.profile ? profile : {}).join('\n'));
    },
    ({ diffusion: { timesteps } }) => {
      if (options.steps !== undefined && options.steps > timesteps)
        throw usage(`--steps is ${options.steps}; give a whole number from 1 to ${timesteps}, all that this model has`);
    },
  );
}

/** One picture, with a bar over its iterations. */
async function draw({ model, progress, signal }: Session, prompt: string, options: Options): Promise<Picture> {
  const { seed, cfg, cfgSchedule: cfg_schedule, iterations, steps, eta, temperature } = options;
  let picture: Picture | undefined;
  progress.start(`${prompt || 'anything'}, seed ${seed}`, iterations ?? model.defaults.iterations);
  for await (const step of model.generate({
    prompt,
    seed,
    cfg,
    cfg_schedule,
    iterations,
    steps,
    eta,
    temperature,
    signal,
  })) {
    progress.update(step.iteration);
    if (step.known === step.total) picture = await step.preview(signal);
  }
  progress.stop();
  return picture!;
}

function summary(model: MMAR, adapter: string, profile: Record<string, number>): string[] {
  const { weights, peak } = model.memory(),
    total = Object.values(profile).reduce((sum, s) => sum + s, 0);
  const parts = Object.entries(profile).map(([part, seconds]) => [
    part,
    seconds.toFixed(3),
    `${((100 * seconds) / total).toFixed(1)} %`,
  ]);
  return [
    `on ${adapter}; device memory ${megabytes(peak)} at the peak, ${megabytes(weights)} of it weights`,
    ...(parts.length ? ['', ...table([['part', 'seconds', 'share'], ...parts, ['all', total.toFixed(3), '']])] : []),
  ];
}

/** Where picture number `n` of `count` goes. */
function fileName(pattern: string | undefined, prompt: string, seed: number, n: number, count: number): string {
  const plain = `mmar-{prompt}-{seed}.png`;
  let name = pattern ?? plain;
  if (isFolder(name) || /[/\\]$/.test(name)) name = path.join(name, plain);
  if (count > 1 && !/\{(seed|n)\}/.test(name)) {
    const { dir, name: stem, ext } = path.parse(name);
    name = path.join(dir, `${stem}-{seed}${ext}`);
  }
  const words = prompt
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '');
  const values = {
    seed: String(seed),
    n: String(n).padStart(String(count).length, '0'),
    prompt: [...words].slice(0, 40).join('') || 'anything',
  };
  return name.replace(/\{(seed|n|prompt)\}/g, (_, key: keyof typeof values) => values[key]);
}
