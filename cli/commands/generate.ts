import path from 'node:path';
import type { Command } from 'commander';
import type { Drawn } from '../../model/api.ts';
import type { MMAR } from '../../model/mmar.ts';
import { type DrawingKey, type DrawingSettings, drawingSettings, seedSetting } from '../../model/settings.ts';
import { planSettings } from '../../model/variants/index.ts';
import { isFolder } from '../../platform/folder.ts';
import { usage } from '../errors.ts';
import { checkOutput, writePicture } from '../files.ts';
import { type CommonOptions, count, option, someText, withCommon } from '../options.ts';
import { megabytes, secondsSince, table } from '../progress.ts';
import { type Session, withModel } from '../session.ts';
import { settingOption } from '../setting_options.ts';

interface Options extends CommonOptions, Partial<Omit<DrawingSettings, 'cfg_schedule'>> {
  cfgSchedule?: DrawingSettings['cfg_schedule'];
  batch: number;
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
  const command = withCommon(
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
    .addOption(settingOption('seed', seedSetting).default(0))
    .addOption(option('-n, --count <n>', 'how many pictures, with seeds from --seed up', count(1)).default(1))
    .addOption(option('--batch <n>', 'how many of them are drawn side by side', count(1)).default(1))
    .option('--profile', 'print the seconds that each part took on the device')
    .addHelpText(
      'after',
      `\nSettings that are not given are the checkpoint's own (generation_config.json).\n${examples}`,
    )
    .action(generate);
  for (const key of Object.keys(drawingSettings) as DrawingKey[])
    command.addOption(settingOption(key, drawingSettings[key]));
}

async function generate(prompt: string, options: Options): Promise<void> {
  const { seed, count, json } = options;
  if (seed > Number.MAX_SAFE_INTEGER - (count - 1))
    throw usage(`--seed ${seed} with -n ${count} passes 2^53 - 1; give a smaller seed`);
  const files = Array.from({ length: count }, (_, i) => fileName(options.output, prompt, seed + i, i + 1, count));
  for (const file of files) checkOutput(file, '.png');

  const settings = settingsOf(options);
  await withModel(
    options,
    async (session) => {
      const { model, adapter } = session,
        pictures: { file: string; seed: number; seconds: number }[] = [];
      if (options.profile || json) await model.setProfile(true);
      for (let first = 0; first < count; first += options.batch) {
        const start = performance.now(),
          seeds = Array.from({ length: Math.min(options.batch, count - first) }, (_, i) => seed + first + i),
          drawn = await draw(session, prompt, seeds, settings),
          seconds = secondsSince(start) / seeds.length;
        for (const [i, { picture }] of drawn.entries()) {
          const file = files[first + i];
          await writePicture(file, picture);
          pictures.push({ file, seed: seeds[i], seconds });
          if (!json) console.log(`${file}  seed ${seeds[i]}  ${seconds.toFixed(2)} s`);
        }
      }
      const { weights, peak } = await model.memory(),
        profile = await model.setProfile(false);
      if (json) console.log(JSON.stringify({ pictures, memory: { weights, peak }, adapter, profile }));
      else console.log((await summary(model, adapter, options.profile ? profile : {})).join('\n'));
    },
    (config) => planSettings(config, settings),
  );
}

/** The settings that were given, by their own names. */
function settingsOf({ cfgSchedule: cfg_schedule, ...options }: Options): Partial<DrawingSettings> {
  const { iterations, steps, cfg, eta, temperature } = options;
  return { iterations, steps, cfg, cfg_schedule, eta, temperature };
}

/** Pictures drawn side by side, with a bar over their iterations. */
async function draw(
  { model, progress, signal }: Session,
  prompt: string,
  seeds: number[],
  settings: Partial<DrawingSettings>,
): Promise<Drawn[]> {
  const stream = model.generateStream({ prompt, seeds, ...settings, signal });
  const label = `${prompt || 'anything'}, ${seeds.length > 1 ? `seeds ${seeds[0]} to ${seeds.at(-1)}` : `seed ${seeds[0]}`}`;
  try {
    for (;;) {
      const { done, value } = await stream.next();
      if (done) return value;
      if (value.iteration === 1 || !progress.shown) progress.start(label, value.iterations);
      progress.update(value.iteration);
    }
  } finally {
    progress.stop();
  }
}

async function summary(model: MMAR, adapter: string, profile: Record<string, number>): Promise<string[]> {
  const { weights, peak } = await model.memory(),
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
