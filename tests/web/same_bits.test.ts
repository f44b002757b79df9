// The same bits in Node and in a browser on the same adapter: every golden case in f32 and bf16 (which compiles every kernel
// in the browser's own WGSL compiler), three pictures drawn by the page, and the answers about them.
import fs from 'node:fs';
import path from 'node:path';
import type { Page } from 'puppeteer-core';
import * as assert from 'uvu/assert';
import { Device } from '../../engine/device.ts';
import { readHeader, readTensor, toF32, toInts } from '../../loaders/safetensors.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import { type TraceTensors, trace } from '../../model/trace.ts';
import { decodePicture, nodePlatform } from '../../platform/node.ts';
import { closeGPU, nodeAdapter } from '../../platform/node_gpu.ts';
import { adapterOf } from './browsers.ts';
import { golden, inBrowsers } from './harness.ts';

const folders = fs.existsSync(golden) ? ['plain', 'untied-epsilon', 'vq', 'transfusion'] : [],
  precisions = ['f32', 'bf16'] as const;
const drawings = [
  { prompt: 'red apple', seed: 1, cfg: 3 },
  { prompt: 'cat face', seed: 2, cfg: 3, iterations: 4, steps: 10 },
  { prompt: 'sunflower', seed: 3, cfg: 1, iterations: 5, steps: 7 },
];
const hash = (settings: object) =>
  `#${new URLSearchParams(Object.entries(settings).map(([key, value]) => [key, String(value)]))}`;
const cases = (folder: string) =>
  fs
    .readdirSync(path.join(golden, folder, 'cases'))
    .filter((f) => !f.startsWith('train') && f.includes(process.env.MMAR_CASE ?? ''));

if (!folders.length) console.log('skipped: no golden cases in tests/golden; MMAR_GOLDEN names their folder');

type Bundle = typeof import('../../browser.ts');

/** What the page keeps: a way to load on its device, and the model loaded last. */
interface Opened {
  load(where: string): Promise<Opened['model']>;
  model: Pick<MMAR, 'close'> & {
    trace(part: string, inputs: TraceTensors, metadata: Record<string, string>): Promise<TraceTensors>;
  };
}

/** What a page can be given: plain arrays. */
type Plain = [name: string, tensor: { shape: number[]; values: number[] }][];

async function readCase(folder: string, file: string): Promise<{ inputs: Plain; metadata: Record<string, string> }> {
  const source = nodePlatform.source(path.join(golden, folder, 'cases')),
    { tensors, metadata } = await readHeader(source, file),
    inputs: Plain = [];
  for (const [name, entry] of tensors) {
    const bytes = await readTensor(source, file, entry),
      float = entry.dtype.startsWith('F') || entry.dtype === 'BF16';
    if (!name.startsWith('expect'))
      inputs.push([
        name,
        {
          shape: entry.shape,
          values: Array.from<number>(float ? toF32(entry, bytes) : (toInts(entry, bytes) as ArrayLike<number>)),
        },
      ]);
  }
  await source.close();
  return { inputs, metadata };
}

/** An output's values by their bits, so that -0 and NaN count too. */
const bits = (tensors: TraceTensors) =>
  Object.fromEntries(
    [...tensors].map(([name, { values }]) => [name, Array.from(new Uint32Array(Float32Array.from(values).buffer))]),
  );

/** The page's own bits of a case. */
const traced = (page: Page, inputs: Plain, metadata: Record<string, string>): Promise<Record<string, number[]>> =>
  page.evaluate(
    async (inputs, metadata) => {
      const { model } = globalThis as unknown as Opened;
      const out = await model.trace(metadata.part, new Map(inputs), metadata);
      return Object.fromEntries(
        [...out].map(([name, { values }]) => [name, Array.from(new Uint32Array(Float32Array.from(values).buffer))]),
      );
    },
    inputs,
    metadata,
  );

function firstDifference(got: number[], want: number[]): string {
  const different = want.flatMap((v, i) => (v === got[i] ? [] : [i])),
    value = (b: number) => new Float32Array(new Uint32Array([b]).buffer)[0];
  const [i] = different;
  return `${different.length} of ${want.length} values differ (${got.length} came), first at ${i}: ${value(got[i])} in the browser, ${value(want[i])} in Node`;
}

await inBrowsers(
  'same bits',
  (test, browser) => {
    const open = async () => Device.open((await nodeAdapter(adapterOf[browser])).adapter);

    // One device on each side for all folders: compiling is most of the time.
    for (const precision of folders.length ? precisions : []) {
      test(`golden cases ${precision}`, async (page) => {
        await page.open();
        // f32 through the worker, bf16 by the plain bundle in the page itself: both are ways to use the package.
        await page.page.evaluate(
          async (precision, module) => {
            const { connectWorker, loadMMAR, openDevice } = (await import(module)) as Bundle,
              state = globalThis as unknown as Opened;
            if (precision === 'f32') {
              const engine = connectWorker();
              state.load = (where) => engine.loadMMAR(where, { precision, keep: false });
            } else {
              const device = await openDevice();
              state.load = (where) => loadMMAR(where, { precision, device });
            }
          },
          precision,
          `${page.server.url}mmar.js`,
        );
        const device = await open(),
          differences: string[] = [];
        for (const folder of folders) {
          const model = await loadMMAR(nodePlatform.source(path.join(golden, folder)), { device, precision });
          await page.page.evaluate(async (folder) => {
            const state = globalThis as unknown as Opened;
            state.model = await state.load(new URL(`golden/${folder}`, location.href).href);
          }, folder);
          for (const file of cases(folder)) {
            const { inputs, metadata } = await readCase(folder, file),
              want = bits(await trace(model, metadata.part, new Map(inputs), metadata)),
              got = await traced(page.page, inputs, metadata);
            for (const name of Object.keys(want))
              if (got[name]?.join() !== want[name].join())
                differences.push(`${folder} ${file} ${name}: ${firstDifference(got[name] ?? [], want[name])}`);
          }
          await page.page.evaluate(() => (globalThis as unknown as Opened).model.close());
          await model.close();
        }
        device.destroy();
        assert.is(differences.join('\n'), '');
      });
    }

    test('three pictures and their answers', async (page) => {
      const device = await open(),
        model = await loadMMAR(nodePlatform.source('checkpoints/emoji'), { device });
      await page.open();
      for (const settings of drawings) {
        const { prompt, seed } = settings;
        await page.page.evaluate((hash) => (location.hash = hash), hash(settings));
        await page.press('Drawing', 'tab');
        await page.press('Draw');
        await page.says('draw-status', new RegExp(`seed ${seed}, drawn in`));
        const got = await decodePicture(await page.savePNG(), 'saved'),
          { picture: want } = await model.generate(settings);
        const different = want.data.reduce((n, v, i) => n + Number(v !== got.data[i]), 0);
        assert.is(different, 0, `${prompt}: ${different} of ${want.data.length} bytes differ`);
        await page.press('Read this picture');
        await page.press('Ask');
        await page.says('read-status', /tokens in/);
        const { text: answer } = await model.describe({ image: want });
        assert.is(await page.page.evaluate(() => document.querySelector('#answers .said')!.textContent), answer);
      }
      await model.close();
      device.destroy();
      assert.equal(page.errors, []);
    });
  },
  closeGPU,
);
