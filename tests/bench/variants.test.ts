// The benchmark of VQ and Transfusion: its figures of a small model each, with their parts' names, and of the configs that
// `--config` takes the kernels that are theirs alone.
import fs from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { namedConfig } from '../../bench/configs.ts';
import { modelFigures } from '../../bench/figures.ts';
import { recordShapes } from '../../bench/shapes.ts';
import { madeModel } from '../../bench/weights.ts';
import { device } from '../gpu.ts';

for (const [variant, head] of [
  ['vq', 'image head'],
  ['transfusion', 'sampler'],
])
  test(`figures of ${variant}`, async () => {
    const json: unknown = JSON.parse(fs.readFileSync(`tests/golden/${variant}/config.json`, 'utf8')),
      model = await madeModel(device, json, variant);
    try {
      const rows = await modelFigures(model, variant, { budget: 5 }),
        figures = rows.map(({ figure }) => figure);
      assert.ok(
        rows.every(({ value }) => value > 0),
        JSON.stringify(rows),
      );
      for (const wanted of ['picture to tokens', 'tokens to picture', 'second step of a picture: LLM'])
        assert.ok(figures.includes(wanted), `${wanted}: ${figures.join(', ')}`);
      assert.ok(figures.includes(`second step of a picture: ${head}`), figures.join(', '));
      assert.ok(
        figures.some((figure) => figure.startsWith('pictures a minute')),
        figures.join(', '),
      );
    } finally {
      await model.close();
    }
  });

test('figures that memory does not hold are named, the others stand', async () => {
  const json: unknown = JSON.parse(fs.readFileSync('tests/golden/vq/config.json', 'utf8')),
    model = await madeModel(device, json, 'vq'),
    draw = model.draw.bind(model),
    notes: string[] = [];
  model.draw = (task, ...rest) => {
    if (task.pictures.length > 1) throw new MMARError('device', 'out of memory: 9 GB; draw fewer at once');
    return draw(task, ...rest);
  };
  try {
    const rows = await modelFigures(model, 'vq', { budget: 1, onNote: (note) => notes.push(note) });
    assert.ok(rows.some(({ figure }) => figure.startsWith('pictures a minute, one')));
    assert.equal(notes, [
      'vq: left out: drawing 4 at once, drawing 16 at once: out of memory: 9 GB; draw fewer at once',
    ]);
  } finally {
    await model.close();
  }
});

test('kernels of their configs', async () => {
  const kernelsOf = async (config: string) =>
    new Set((await recordShapes(device, namedConfig(config), config)).map(({ dispatch }) => dispatch.name));
  const vq = await kernelsOf('mmar-0.5b-vq'),
    transfusion = await kernelsOf('transfusion-0.5b');
  assert.ok(vq.has('nearest_code') && vq.has('sample_code') && !vq.has('sampler_step'), [...vq].join());
  assert.ok(transfusion.has('sampler_step') && !transfusion.has('sample_code'), [...transfusion].join());
});

test.run();
