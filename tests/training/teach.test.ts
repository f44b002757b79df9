// A lesson by the API: it is the run of `mmar train`, the model draws with what it learned, and can forget it.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { loadMMAR, type MMAR, type TeachOptions, type TeachStep } from '../../index.ts';
import { mmar, newFolder, root } from '../cli/mmar.ts';

const cwd = newFolder(),
  folder = path.join(cwd, 'model'),
  data = path.join(cwd, 'shapes'),
  adapter = 'swiftshader';
const config = path.join(root, 'tests/training/tiny.json');

/** What a model draws, as its bytes. */
const drawn = async (model: MMAR) =>
  Buffer.from((await model.generate({ prompt: 'red triangle', seed: 1, steps: 2, iterations: 2 })).picture.data);

let lesson: TeachOptions;

test('the same pictures, words and settings give the patch of mmar train', async () => {
  const made = await mmar(['init', folder, '--config', config]);
  assert.is(made.code, 0, made.stderr);
  const { drawShapes } = (await import(path.join(root, 'docs/shapes.mjs'))) as {
    drawShapes: (folder: string) => Promise<string>;
  };
  await drawShapes(data);
  const lines = fs.readFileSync(path.join(data, 'metadata.jsonl'), 'utf8').trim().split('\n');
  fs.writeFileSync(path.join(data, 'metadata.jsonl'), lines.slice(0, 3).join('\n'));
  const entries = lines.slice(0, 3).map((line) => JSON.parse(line) as { file_name: string; text: string });
  const examples = entries.map(({ file_name, text }) => ({ image: path.join(data, file_name), prompt: text }));
  lesson = { examples, steps: 4, batch: 4, rehearse: 1, seed: 3, lr: 1e-3 };

  const out = path.join(cwd, 'run');
  const words = '--steps 4 --batch 4 --micro-batch 1 --rehearse 1 --seed 3 --lr 1e-3'.split(' ');
  const run = await mmar(['train', data, '--out', out, '--model', folder, '--adapter', adapter, ...words]);
  assert.is(run.code, 0, run.stderr);
  const model = await loadMMAR(folder, { adapter });
  const { patch, steps } = await model.teach(lesson);
  await model.close();
  assert.is(steps, 4);
  const trained = fs.readFileSync(path.join(out, 'patch.safetensors'));
  assert.is(patch.length, trained.length);
  assert.ok(trained.equals(patch), 'the bytes differ');
});

test('a taught model draws as one loaded with the patch; it forgets, and takes the patch again', async () => {
  const model = await loadMMAR(folder, { adapter });
  const before = await drawn(model);
  const read = async () => (await model.describe({ image: lesson.examples[0].image, max_new_tokens: 4 })).ids;
  const readBefore = await read();
  assert.is(await model.savePatch(), undefined);
  const told: TeachStep[] = [];
  const stream = model.teachStream({ ...lesson, lr: 1e-1, sampleEvery: 2 });
  let step = await stream.next();
  for (; !step.done; step = await stream.next()) told.push(step.value as TeachStep);
  const { patch } = step.value as { patch: Uint8Array<ArrayBuffer> };
  assert.is(told.filter(({ stage }) => stage === 'looking').length, 3);
  assert.is(told.filter(({ stage }) => stage === 'rehearsing').length, 1);
  const learning = told.filter(({ stage }) => stage === 'learning');
  assert.equal(
    learning.map(({ step, picture }) => [step, picture !== undefined]),
    [1, 2, 3, 4].map((n) => [n, n % 2 === 0]),
  );
  assert.ok(learning.every(({ loss, total, secondsLeft }) => loss! > 0 && total === 4 && secondsLeft! >= 0));

  const after = await drawn(model);
  assert.not.equal(after, before);
  const readAfter = await read();
  assert.ok(Buffer.from(patch).equals((await model.savePatch())!));
  const file = path.join(cwd, 'patch.safetensors');
  fs.writeFileSync(file, patch);
  const other = await loadMMAR(folder, { adapter, patch: file });
  assert.equal(await drawn(other), after);
  assert.equal((await other.describe({ image: lesson.examples[0].image, max_new_tokens: 4 })).ids, readAfter);
  await other.close();

  await model.forget();
  assert.equal(await drawn(model), before);
  assert.equal(await read(), readBefore);
  assert.is(await model.savePatch(), undefined);
  await model.usePatch(new Blob([patch]));
  assert.equal(await drawn(model), after);
  await model.close();
});

test('stopped in its middle, it keeps the steps that were done', async () => {
  const model = await loadMMAR(folder, { adapter });
  const before = await drawn(model);
  const stop = new AbortController();
  const seen: number[] = [];
  const learn = async () => {
    for await (const { stage, step } of model.teachStream({
      ...lesson,
      steps: 100,
      rehearse: 0,
      signal: stop.signal,
    })) {
      if (stage === 'learning') seen.push(step);
      if (seen.length === 2) stop.abort();
    }
  };
  assert.is(await code(learn()), 'cancelled');
  assert.ok(seen.length < 5, seen.join());
  const kept = (await model.savePatch())!;
  assert.match(Buffer.from(kept.subarray(0, 80)).toString(), /"__metadata__":\{"step":"[2345]"\}/);
  assert.not.equal(await drawn(model), before);
  for await (const { stage, step } of model.teachStream({ ...lesson, rehearse: 0 }))
    if (stage === 'learning' && step === 2) break; // left, and taught further
  const further = (await model.savePatch())!;
  assert.not(Buffer.from(further).equals(kept));
  await model.forget();
  assert.equal(await drawn(model), before);
  await model.close();
});

const code = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

test('a lesson that would not fit beside the model is refused before it begins', async () => {
  const model = await loadMMAR(folder, { adapter });
  Object.defineProperty(model, 'available', { value: 1e6, configurable: true }); // loading asks for more
  const before = model.device.memory.held;
  const error = await model.teach(lesson).catch((e: Error) => e);
  assert.match((error as Error).message, /to learn this takes .* on the device .*, and 1\.0 MB are there; take/);
  assert.is(model.device.memory.held, before);
  await model.close();
});

test('what cannot be learned is refused by name', async () => {
  const model = await loadMMAR(folder, { adapter });
  const message = (options: Partial<TeachOptions>) =>
    model.teach({ ...lesson, ...options }).then(
      () => 'none',
      (error: Error) => error.message,
    );
  const { image } = lesson.examples[0];
  assert.match(await message({ examples: [] }), /no picture/);
  assert.match(await message({ examples: [lesson.examples[0], { image, prompt: ' ' }] }), /picture 2 has no words/);
  assert.match(await message({ examples: [{ image: new Uint8Array([1, 2]), prompt: 'x' }] }), /no picture/);
  assert.match(await message({ steps: 0 }), /steps is 0/);
  assert.match(await message({ learn: ['nothing.*'] }), /no tensor is called nothing/);
  assert.is(await code(model.usePatch(new Uint8Array([1, 2, 3]))), 'file');
  const whole = fs.readFileSync(path.join(root, 'checkpoints/emoji/model.safetensors'));
  assert.is(await code(model.usePatch(whole)), 'checkpoint');
  assert.is(await code(model.usePatch(path.join(cwd, 'none.safetensors'))), 'file');
  assert.is(await model.savePatch(), undefined);
  await model.close();
  assert.is(await code(model.teach(lesson)), 'usage');
});

test.run();
