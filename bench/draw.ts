// A picture of the carried model, from the same order and noise here and in PyTorch: seconds and what both drew.
import { parseArgs } from 'node:util';
import { openComposed } from '../cli/checkpoint.ts';
import { Device } from '../engine/device.ts';
import { loadMMAR } from '../model/mmar.ts';
import { nodeAdapter } from '../platform/node_gpu.ts';
import { permutation } from '../shaders/random.ts';
import { drawNoise } from '../training/examples.ts';
import { median } from './measure.ts';
import { openTorch } from './peers/torch.ts';

const { values } = parseArgs({
  options: {
    adapter: { type: 'string' },
    precision: { type: 'string', default: 'bf16' },
    rounds: { type: 'string', default: '7' },
    python: { type: 'string', default: '/usr/bin/python3' },
    json: { type: 'boolean', default: false },
  },
});
const folder = 'checkpoints/emoji',
  precision = values.precision as 'bf16' | 'f32',
  /** `plain`: f32 as the specification writes the graph, without the work that mmar saves and the others save too. */
  types = ['f32', 'bf16', 'plain'] as const;

const { adapter, name } = await nodeAdapter(values.adapter),
  device = await Device.open(adapter),
  model = await loadMMAR(await openComposed({ model: folder }), { device, precision }),
  tokenizer = await model.tokenizer(),
  { image_tokens, image_tokenizer } = model.system.config;
const settings = model.settings({}),
  order = permutation(image_tokens, 1),
  noise = drawNoise(1, 0, 0, image_tokens * image_tokenizer.embed_dim),
  { before } = tokenizer.drawingPrompt('red apple'),
  { before: uncond } = tokenizer.drawingPrompt('');

const draw = async (): Promise<Float32Array> => {
  const { tokens } = await model.drawTokens({ before, uncond, pictures: [{ order, chance: { noise } }] }, settings);
  await model.decode({ tokens });
  return tokens;
};

const tokens = await draw(), // compiles
  peer = await openTorch<{ torch: string }>(values.python, 'draw.py', folder, {
    ...settings,
    before,
    uncond,
    order,
    noise,
  });
/** How far the tokens drawn there lie from these, of their own length. */
const apart: Record<string, number> = {};
const seconds: Record<string, number[]> = { mmar: [] };
for (const type of peer ? types : []) {
  apart[type] = distance(tokens, JSON.parse(await peer!.ask(type)).tokens);
  seconds[`torch ${type}`] = [];
}
for (let round = 0; round < Number(values.rounds); round++) {
  const start = performance.now();
  await draw();
  seconds.mmar.push((performance.now() - start) / 1000);
  for (const type of peer ? types : [])
    seconds[`torch ${type}`].push(JSON.parse(await peer!.ask(type)).seconds as number);
}
peer?.close();

const middle = Object.fromEntries(Object.entries(seconds).map(([what, all]) => [what, median(all)])),
  toPlain = peer && middle.mmar / middle['torch plain'],
  toTorch = peer && middle.mmar / Math.min(...types.map((type) => middle[`torch ${type}`]));
if (values.json)
  console.log(
    JSON.stringify(
      {
        adapter: name,
        precision,
        torch: peer?.first.torch,
        seconds: middle,
        to_torch: toTorch,
        to_plain: toPlain,
        apart,
      },
      undefined,
      1,
    ),
  );
else {
  console.log(`${name}, ${precision}, the middle of ${values.rounds} pictures in turns`);
  for (const [what, s] of Object.entries(middle)) console.log(`${what.padEnd(12)}${s.toFixed(2).padStart(8)} s`);
  if (peer) {
    const told = types.map((type) => `${(100 * apart[type]).toFixed(1)} % in ${type}`).join(', ');
    console.log(`tokens lie apart from those of PyTorch ${peer.first.torch}: ${told}`);
    console.log(
      `a picture takes ${toTorch!.toFixed(2)} times the fastest of PyTorch's, ${toPlain!.toFixed(2)} times the plain one`,
    );
  } else console.log(`no PyTorch to compare with: ${values.python} does not import torch`);
}
process.exit(peer && apart[precision] > 0.25 ? 1 : 0);

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let off = 0,
    all = 0;
  for (let i = 0; i < a.length; i++) {
    off += (a[i] - b[i]) ** 2;
    all += a[i] ** 2;
  }
  return Math.sqrt(off / all);
}
