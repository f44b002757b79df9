import type { Command } from 'commander';
import type { Picture } from '../../base/platform.ts';
import { contactSheet, pictureToPixels, psnr } from '../../loaders/image.ts';
import { labelled } from '../../loaders/lettering.ts';
import type { Drawn } from '../../model/api.ts';
import { type DrawingSettings, drawingSettings, seedSetting } from '../../model/settings.ts';
import { planSettings } from '../../model/variants/index.ts';
import { usage } from '../errors.ts';
import { checkOutput, writePicture } from '../files.ts';
import { type CommonOptions, count, option, someText, withCommon } from '../options.ts';
import { secondsSince } from '../progress.ts';
import { type Session, withModel } from '../session.ts';
import { settingOption } from '../setting_options.ts';
import { valuesOf } from '../value_list.ts';

/** What can be swept. */
interface Settings extends DrawingSettings {
  seed: number;
}

type Values = { [K in keyof Settings]?: Settings[K][] };

interface Options extends CommonOptions, Omit<Values, 'cfg_schedule'> {
  output: string;
  columns?: number;
  describe?: boolean;
  cfgSchedule?: Values['cfg_schedule'];
}

/** One picture of a sweep: what is particular to it, and how near it is to the first. */
interface Row {
  settings: Partial<Settings>;
  seconds: number;
  /** In dB; absent where it equals the first. */
  psnr?: number;
  answer?: string;
}

const help = `
An option that is given several values is swept: 1..10 are ten, 0..1..0.25 five a quarter apart, 50,25,50:5 those three.
With two such options there is a row for each value of the first. PSNR is to the first picture.

Examples:
  mmar sweep "red apple" --cfg 1..10
  mmar sweep rocket --steps 50,25,10,50:5 --describe
  mmar sweep "cat face" --seed 1..4 --temperature 0.8..1.2..0.1 -o cats.png`;

export function addSweep(program: Command): void {
  const command = withCommon(
    program
      .command('sweep')
      .description('Draw one prompt with an option at many values, into one labelled sheet.')
      .argument('[prompt]', 'what to draw; none: anything', ''),
  )
    .addOption(option('-o, --output <file>', 'PNG to write', someText).default('mmar-sweep.png'))
    .addOption(option('--columns <n>', 'pictures in a row (default: the values of the last swept option)', count(1)))
    .option('--describe', 'read each picture too')
    .addHelpText('after', help)
    .action(sweep);
  for (const [key, setting] of Object.entries({ seed: seedSetting, ...drawingSettings })) {
    const { flags, description, parseArg } = settingOption(key, setting);
    const one = (_: string, text: string): unknown => parseArg!(text, undefined);
    const swept = option(flags, description, valuesOf(one));
    command.addOption(key === 'seed' ? swept.default([0], '0') : swept);
  }
}

async function sweep(prompt: string, options: Options): Promise<void> {
  checkOutput(options.output, '.png');
  const { seed, iterations, steps, cfg, cfgSchedule: cfg_schedule, eta, temperature } = options;
  const given: Values = { seed, iterations, steps, cfg, cfg_schedule, eta, temperature };
  const axes = Object.entries(given).filter(([, values]) => values !== undefined) as [keyof Settings, unknown[]][];
  const swept = axes.filter(([, values]) => values.length > 1);
  if (!swept.length || swept.length > 2)
    throw usage(
      `${swept.length || 'no'} options have several values; give them to one, or to two, such as --cfg 1..10`,
    );
  const all = product(axes);
  const rows: Row[] = [];
  const sheet: Picture[] = [];
  await withModel(
    options,
    async (session) => {
      let first: Drawn | undefined;
      for (const settings of all) {
        const { drawn, seconds, answer } = await draw(session, prompt, settings, options.describe);
        first ??= drawn;
        const own = Object.fromEntries(swept.map(([key]) => [key, settings[key]]));
        rows.push({ settings: own, seconds, psnr: distance(drawn, first), answer });
        const words = swept.map(([key]) => `${key} ${settings[key]}`).join(', ');
        sheet.push(labelled(drawn.picture, words, drawn.picture.width < 128 ? 1 : 2));
        session.progress.stop();
        if (!options.json) console.log(line(rows.at(-1)!));
      }
      await writePicture(options.output, contactSheet(sheet, options.columns ?? swept.at(-1)![1].length));
      if (options.json) console.log(JSON.stringify({ file: options.output, prompt, pictures: rows }));
      else console.log(options.output);
    },
    (config) => {
      for (const { seed: _, ...drawing } of all) planSettings(config, drawing);
    },
  );
}

/** The settings of each picture: every combination of the values, the last option's changing fastest. */
function product(axes: [keyof Settings, unknown[]][]): Partial<Settings>[] {
  return axes.reduce<Partial<Settings>[]>(
    (rows, [key, values]) => rows.flatMap((row) => values.map((value) => ({ ...row, [key]: value }))),
    [{}],
  );
}

async function draw(
  { model, progress, signal }: Session,
  prompt: string,
  settings: Partial<Settings>,
  describe = false,
) {
  progress.busy(`drawing ${prompt || 'anything'}`);
  const start = performance.now();
  const drawn = await model.generate({ prompt, ...settings, signal });
  const seconds = secondsSince(start);
  const answer = describe ? (await model.describe({ image: drawn.picture, signal })).text : undefined;
  return { drawn, seconds, answer };
}

/** PSNR in dB; nothing where both are the same. */
function distance({ picture }: Drawn, { picture: first }: Drawn): number | undefined {
  const [a, b] = [picture, first].map((one) => pictureToPixels(one, one.width));
  const db = psnr(a, b);
  return db === Infinity ? undefined : db;
}

const line = ({ settings, seconds, psnr: db, answer }: Row): string =>
  [
    Object.entries(settings)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')
      .padEnd(24),
    `${seconds.toFixed(2)} s`.padStart(9),
    (db === undefined ? 'the first' : `${db.toFixed(1)} dB`).padStart(10),
    ...(answer === undefined ? [] : [`  ${answer}`]),
  ].join(' ');
