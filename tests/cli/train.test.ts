// `mmar train`: what it writes, what it says of wrong data, and that a run that is killed anywhere goes on with the same bits.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Draws } from '../../training/random.ts';
import { mmar, newFolder, root } from './mmar.ts';

const cwd = newFolder(),
  model = path.join(cwd, 'model'),
  data = path.join(cwd, 'shapes');
const common = ['--model', model, '--adapter', 'swiftshader', '--batch', '4', '--micro-batch', '1', '--draws', '1'];

test('a tiny model and some shapes are made', async () => {
  const made = await mmar(['init', model, '--config', path.join(root, 'tests/training/tiny.json')]);
  assert.is(made.code, 0, made.stderr);
  const { drawShapes } = (await import(path.join(root, 'docs/shapes.mjs'))) as {
    drawShapes: (folder: string) => Promise<string>;
  };
  await drawShapes(data);
});

test('a run leaves its log, curve, state and patch, and the patch is for every command', async () => {
  const out = path.join(cwd, 'run'),
    run = await mmar(['train', data, '--out', out, '--steps', '3', '--held-out', '0.2', '--json', ...common]);
  assert.is(run.code, 0, run.stderr);
  const lines = fs
    .readFileSync(path.join(out, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ step }) => step),
    [1, 2, 3],
  );
  assert.ok(lines.every(({ loss, grad_norm }) => loss > 0 && grad_norm > 0));
  assert.ok(lines[2].held_out.loss_image > 0 && lines[2].held_out.loss_text > 0);
  assert.match(fs.readFileSync(path.join(out, 'loss.svg'), 'utf8'), /^<svg [\s\S]*<polyline/);
  const { patch } = JSON.parse(run.stdout),
    drawn = ['generate', 'red', '--steps', '2', '--iterations', '2', '--adapter', 'swiftshader', '--model', model];
  for (const [file, more] of [
    ['before.png', []],
    ['after.png', ['--patch', patch]],
  ] as const)
    assert.is((await mmar([...drawn, '-o', path.join(cwd, file), ...more])).code, 0);
  assert.not.equal(fs.readFileSync(path.join(cwd, 'before.png')), fs.readFileSync(path.join(cwd, 'after.png')));
});

test('from scratch, all learns: the loss falls, and the whole model that is saved reads back', async () => {
  const out = path.join(cwd, 'scratch'),
    config = path.join(root, 'tests/training/tiny.json'),
    words = [
      'train',
      data,
      '--out',
      out,
      '--from-scratch',
      config,
      '--steps',
      '60',
      '--lr',
      '1e-2',
      '--adapter',
      'swiftshader',
    ],
    run = await mmar([...words, '--batch', '8', '--json']);
  assert.is(run.code, 0, run.stderr);
  const losses = fs
      .readFileSync(path.join(out, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).loss as number),
    mean = (from: number) => losses.slice(from, from + 10).reduce((sum, loss) => sum + loss / 10, 0);
  assert.ok(mean(50) < 0.5 * mean(0), `loss ${mean(0)}, later ${mean(50)}`);
  const saved = JSON.parse(run.stdout).model as string,
    inspected = await mmar(['inspect', saved, '--json']);
  assert.is(inspected.code, 0, inspected.stderr);
  const { missing, wrong, unexpected } = JSON.parse(inspected.stdout);
  assert.equal([missing, wrong, unexpected], [[], [], []]);
  const drawn = ['generate', 'red', '--steps', '2', '--iterations', '2', '--adapter', 'swiftshader', '--model', saved];
  assert.is((await mmar([...drawn, '-o', path.join(cwd, 'scratch.png')])).code, 0);
});

/** Runs to step 20, and kills the process once the log has `killAt` steps; resolves to whether it was killed. */
function runUntil(out: string, killAt: number): Promise<boolean> {
  const resume = fs.existsSync(path.join(out, 'state.safetensors')) ? ['--resume'] : [],
    words = ['train', data, '--out', out, '--steps', '20', '--save-every', '2', ...common, ...resume];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(root, 'cli/mmar.mjs'), ...words], { stdio: 'ignore' });
    const log = path.join(out, 'log.jsonl');
    const timer = setInterval(() => {
      const steps = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').length - 1 : 0;
      if (steps >= killAt) child.kill('SIGKILL');
    }, 5);
    child.on('close', (_, signal) => {
      clearInterval(timer);
      resolve(signal === 'SIGKILL');
    });
  });
}

test('killed ten times at a random step, it ends with the same bits as one never stopped', async () => {
  const whole = path.join(cwd, 'whole'),
    broken = path.join(cwd, 'broken'),
    draws = new Draws(1, 0, 'example');
  assert.not(await runUntil(whole, Infinity));
  let killed = 0;
  for (let i = 0; i < 10; i++) if (await runUntil(broken, 1 + draws.below(19))) killed++;
  assert.is(killed, 10);
  assert.not(await runUntil(broken, Infinity));
  for (const file of ['state.safetensors', 'patch.safetensors'])
    assert.ok(fs.readFileSync(path.join(whole, file)).equals(fs.readFileSync(path.join(broken, file))), file);
  const steps = (folder: string) =>
    fs
      .readFileSync(path.join(folder, 'log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const { step, loss, grad_norm } = JSON.parse(line);
        return [step, loss, grad_norm];
      });
  assert.equal(steps(broken), steps(whole));
});

test('a step does not depend on how its batch is split over passes', async () => {
  const first = async (size: string) => {
    const out = path.join(cwd, `split-${size}`),
      words = ['train', data, '--out', out, '--steps', '1', ...common, '--micro-batch', size, '--precision', 'f32'];
    const run = await mmar(words);
    assert.is(run.code, 0, run.stderr);
    return JSON.parse(fs.readFileSync(path.join(out, 'log.jsonl'), 'utf8'));
  };
  const [one, all] = [await first('1'), await first('4')];
  for (const key of ['loss_image', 'loss_text', 'grad_norm'])
    assert.ok(Math.abs(one[key] - all[key]) <= 1e-5 * one[key], `${key}: ${one[key]} and ${all[key]}`);
});

test('saved by the clock; a loss that is no number is named, and what was saved is kept', async () => {
  const out = path.join(cwd, 'clock'),
    state = path.join(out, 'state.safetensors'),
    words = ['train', data, '--out', out, ...common];
  const run = await mmar([...words, '--steps', '5', '--warmup', '0', '--lr', '1e30', '--save-minutes', '0']);
  assert.is(run.code, 1);
  assert.match(run.stderr, /step \d: the loss is .*resume from the last save with a lower --lr/);
  assert.ok(fs.existsSync(state));
});

test('a disk that is full is named, and the state that was saved stays', async () => {
  const out = path.join(cwd, 'full'),
    state = path.join(out, 'state.safetensors'),
    words = ['train', data, '--out', out, '--save-every', '1', ...common];
  assert.is((await mmar([...words, '--steps', '1'])).code, 0);
  const saved = fs.readFileSync(state),
    // No file may be larger than half the state from here on.
    limited = `ulimit -f ${Math.floor(saved.length / 2048)}; exec "$@"`,
    command = [process.execPath, path.join(root, 'cli/mmar.mjs'), ...words, '--steps', '3', '--resume'],
    { status, stderr } = spawnSync('bash', ['-c', limited, 'bash', ...command], { encoding: 'utf8' });
  assert.is(status, 1, stderr);
  assert.match(stderr, /cannot write .*state\.safetensors/);
  assert.ok(fs.readFileSync(state).equals(saved));
  assert.equal(
    fs.readdirSync(out).filter((name) => name.endsWith('.part')),
    [],
  );
  assert.is((await mmar([...words, '--steps', '3', '--resume'])).code, 0);
});

test('a run that would not fit recomputes, or is refused before it begins', async () => {
  const plan = await mmar(['train', data, '--plan', '--json', ...common]),
    { peak, recomputing } = JSON.parse(plan.stdout);
  assert.ok(recomputing.peak < peak, plan.stdout);
  const step = async (name: string, ...more: string[]) => {
    const out = path.join(cwd, name),
      run = await mmar(['train', data, '--out', out, '--steps', '1', ...common, ...more]);
    return { ...run, out };
  };
  const bits = ({ out }: { out: string }) => fs.readFileSync(path.join(out, 'state.safetensors'));
  const kept = await step('kept'),
    less = await step('less', '--memory', String((peak - 1) / 1e6)),
    none = await step('none-fits', '--memory', String((recomputing.peak - 1) / 1e6));
  assert.is(less.code, 0, less.stderr);
  assert.ok(bits(kept).equals(bits(less)));
  assert.is(none.code, 1);
  assert.match(none.stderr, /to learn this takes .*, blocks recomputed, and .* are there; lower --micro-batch/);
  assert.equal(fs.readdirSync(none.out), [], 'nothing was looked at before');
});

test('what is wrong is named, and what was saved stays', async () => {
  const out = path.join(cwd, 'whole');
  const refused = async (words: string[], message: RegExp) => {
    const run = await mmar(['train', ...words, ...common]);
    assert.is.not(run.code, 0);
    assert.match(run.stderr, message);
  };
  const saved = fs.readFileSync(path.join(out, 'state.safetensors'));
  await refused([data, '--out', out], /holds a run already; give --resume/);
  await refused([data, '--out', path.join(cwd, 'none'), '--resume'], /has no state\.safetensors to resume from/);
  const file = path.join(data, 'metadata.jsonl');
  await refused([data, '--out', file], /--out .*metadata\.jsonl is a file; give a folder/);
  await refused([data, '--out', path.join(file, 'run')], /--out .*run cannot be written \(ENOTDIR\); give a folder/);
  await refused([cwd, '--out', path.join(cwd, 'other')], /has no metadata\.jsonl; write one/);
  await refused([data, '--out', path.join(cwd, 'other'), '--learn', 'nothing.*'], /no tensor is called nothing\.\*/);
  const wrong = path.join(cwd, 'wrong');
  fs.mkdirSync(wrong);
  fs.writeFileSync(path.join(wrong, 'metadata.jsonl'), '{"file_name": "a.png", "text": "a"}\n');
  await refused([wrong, '--out', path.join(cwd, 'other')], /has no a\.png, which metadata\.jsonl names/);
  fs.writeFileSync(path.join(wrong, 'a.png'), 'no picture');
  await refused([wrong, '--out', path.join(cwd, 'other')], /a\.png is no picture that mmar reads/);
  const known = ['--known', path.join(cwd, 'no.txt'), '--rehearse', '1'];
  await refused([data, '--out', path.join(cwd, 'other'), ...known], /--known .*no\.txt cannot be read/);
  fs.appendFileSync(path.join(wrong, 'metadata.jsonl'), '{"file_name": "b.png", "text": 3}\n');
  await refused([wrong, '--out', path.join(cwd, 'other')], /line 2: text is 3; give a text or a list of texts/);
  assert.ok(fs.readFileSync(path.join(out, 'state.safetensors')).equals(saved));
});

test.run();
