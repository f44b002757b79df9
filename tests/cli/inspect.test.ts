// A checkpoint that is not whole: inspect lists what is wrong, everything else says it in one line.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { failed, mmar, mmarJSON, newFolder, root } from './mmar.ts';

interface Found {
  parts: Record<string, { tensors: number; parameters: number; bytes: number; types: string[] }>;
  missing: string[];
  wrong: string[];
  unexpected: string[];
}

const carried = path.join(root, 'checkpoints/emoji');

/** A copy of the carried checkpoint with another header of its weights, or another config. */
function changed({
  header = (h: Record<string, { shape: number[] }>) => h,
  config = (c: Record<string, unknown>) => c,
}): string {
  const folder = newFolder(),
    file = fs.readFileSync(path.join(carried, 'model.safetensors')),
    length = Number(file.readBigUInt64LE());
  for (const name of ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
    fs.copyFileSync(path.join(carried, name), path.join(folder, name));
  const text = Buffer.from(JSON.stringify(header(JSON.parse(file.toString('utf8', 8, 8 + length)))));
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(BigInt(text.length));
  fs.writeFileSync(path.join(folder, 'model.safetensors'), Buffer.concat([head, text, file.subarray(8 + length)]));
  fs.writeFileSync(
    path.join(folder, 'config.json'),
    JSON.stringify(config(JSON.parse(fs.readFileSync(path.join(carried, 'config.json'), 'utf8')))),
  );
  return folder;
}

test('the carried checkpoint', async () => {
  const { parts, missing, wrong, unexpected } = await mmarJSON<Found>(['inspect']);
  assert.equal([missing, wrong, unexpected], [[], [], []]);
  for (const part of [
    'image_tokenizer',
    'post_projector',
    'embedding_vit',
    'vis_projector',
    'llm',
    'llm PLoRA',
    'diffusion',
  ]) {
    assert.ok(parts[part].parameters > 0 && parts[part].bytes === 2 * parts[part].parameters, part);
    assert.equal(parts[part].types, ['BF16']);
  }
  const { code, stdout } = await mmar(['inspect', carried]);
  assert.is(code, 0);
  assert.match(stdout, /^all +434 +9,939,779 +19\.9 MB$/m);
});

test('a tensor that is missing, and one too many', async () => {
  const folder = changed({ header: ({ image_start: moved, ...rest }) => ({ ...rest, 'image.begin': moved }) });
  const { code, stdout, stderr } = await mmar(['inspect', folder, '--json']);
  assert.is(code, 1);
  const { missing, unexpected } = JSON.parse(stdout) as Found;
  assert.equal([missing, unexpected], [['image_start'], ['image.begin']]);
  assert.match(stderr, /^mmar: .+: 1 tensors are missing and 0 wrong; check config\.json.*\n$/);
  failed(
    await mmar(['generate', '--model', folder, '--adapter', 'swiftshader']),
    1,
    /tensor image_start is missing; .*mmar inspect/,
  );
});

test('a tensor of the wrong shape', async () => {
  const folder = changed({
    header: (h) => ({ ...h, 'post_projector.0.weight': { ...h['post_projector.0.weight'], shape: [16, 192] } }),
  });
  failed(
    await mmar(['generate', '--model', folder, '--adapter', 'swiftshader']),
    1,
    /post_projector\.0\.weight is \[16, 192\], want \[192, 16\]; .*mmar inspect/,
  );
});

test('a config that is wrong', async () => {
  failed(
    await mmar(['inspect', changed({ config: (c) => ({ ...c, image_tokens: 63 }) })]),
    1,
    /config\.json: image_tokens is 63; want 8²/,
  );
  failed(
    await mmar(['generate', '--model', changed({ config: (c) => ({ ...c, plora: { rank: 'many', alpha: 32 } }) })]),
    1,
    /config\.json: plora\.rank is "many"; want a whole number/,
  );
  failed(
    await mmar(['generate', '--model', changed({ config: ({ diffusion: _, ...c }) => c })]),
    1,
    /config\.json: diffusion is missing; want an object/,
  );
});

test('a config that asks for more than the files hold', async () => {
  for (const [count, message] of [
    [1e9, /config\.json: llm\.num_hidden_layers is 1000000000; want a whole number from 0 to 1024$/m],
    [900, /tensor llm\.model\.layers\.5\.\S+ is missing \(and \d+ more faults\)/],
  ] as const) {
    const folder = changed({ config: (c) => ({ ...c, llm: { ...(c.llm as object), num_hidden_layers: count } }) }),
      start = performance.now();
    failed(await mmar(['generate', '--model', folder, '--adapter', 'swiftshader']), 1, message);
    assert.ok(performance.now() - start < 30_000);
  }
});

test('a plan has the keys that it always had', async () => {
  const { plan } = await mmarJSON<{ plan: object }>(['inspect', '--plan']);
  for (const key of ['weights', 'weight_type', 'drawing_peak', 'peak', 'drawing', 'both', 'split'])
    assert.ok(key in plan, key);
});

test('a folder without config, a file that is cut short', async () => {
  const folder = changed({});
  fs.truncateSync(path.join(folder, 'model.safetensors'), 1_000_000);
  failed(await mmar(['inspect', folder]), 1, /model\.safetensors in .+ cut short/);
  const other = changed({});
  fs.rmSync(path.join(other, 'config.json'));
  failed(await mmar(['generate', '--model', other]), 1, /has no config\.json; give the folder of an MMAR checkpoint/);
});

test.run();
