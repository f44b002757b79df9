// How many kernels a GPU is sent: by the rules of hardware, on a device that computes nothing.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { namedConfig } from '../../bench/configs.ts';
import { dryDevice } from '../../engine/dry.ts';
import type { Recorder } from '../../engine/program.ts';
import { Workspace } from '../../engine/workspace.ts';
import { type MMARConfig, parseConfig } from '../../model/config.ts';
import { mergeWeights } from '../../model/merge_weights.ts';
import { systemOf } from '../../model/variants/index.ts';
import { Weights } from '../../model/weights.ts';

const { device } = dryDevice(undefined, { limits: { maxStorageBuffersPerShaderStage: 10 } }); // Metal's; others have more
const config = parseConfig(namedConfig('mmar-0.5b'), 'mmar-0.5b') as MMARConfig;
const system = systemOf(new Weights('bf16', 'bf16', device.maxBinding), config);
system.weights.allocate(device);
const workspace = new Workspace(device);

/** Labels of what is launched; long launches are cut later, when they are replayed. */
async function launches(record: (p: Recorder) => unknown): Promise<string[]> {
  let labels: string[] = [];
  const program = await device.record('launches', (p) => {
    record(p);
    labels = p.dispatches.map(({ label }) => label);
  });
  program.destroy();
  return labels;
}

test('a decoded layer of MMAR-0.5B takes 6, and one more with room for over 256 keys', async () => {
  const { llm } = system,
    x = workspace.tensor('x', 'bf16', [1, config.llm.hidden_size]);
  for (const [room, each] of [
    [64, 6],
    [512, 7],
  ]) {
    const context = llm.context(workspace, 1, room),
      labels = await launches((p) => llm.forward(p, x, context, 'text'));
    assert.is(labels.length, each * config.llm.num_hidden_layers + 1);
  }
});

test('an image layer takes as many of few rows where PLoRA is merged, and 9 of many', async () => {
  await mergeWeights(device, system.weights);
  const { llm } = system,
    L = config.image_tokens,
    context = llm.context(workspace, 2, L + 64),
    state = llm.imageState(workspace, 2 * L),
    chosen = workspace.tensor('chosen', 'u32', [2]);
  const pass = await launches((p) => llm.imagePass(p, state, context));
  assert.is(pass.length, 9 * (config.llm.num_hidden_layers - 1) + 3);
  const rows = await launches((p) => llm.imageRows(p, state, context, chosen, 2));
  assert.is(rows.length, 2 + 5 + 1); // two gathers; attention in chunks and their sum, o, gate and up, down; the last norm
});

test('a diffusion step of MMAR-0.5B takes 17', async () => {
  const { diffusion } = system,
    x = workspace.tensor('noisy', 'f32', [2, config.image_tokenizer.embed_dim]),
    condition = workspace.tensor('condition', 'bf16', [2, diffusion.width]),
    step = workspace.tensor('step', 'u32', [1]),
    times = workspace.tensor('times', 'bf16', [100, diffusion.width]),
    steps = 3;
  const tables = {
    coefficients: workspace.tensor('coefficients', 'f32', [100, 4]),
    step,
    guidance: workspace.tensor('guidance', 'f32', [1]),
    chosen: workspace.tensor('chosen', 'u32', [1]),
  };
  const labels = await launches((p) =>
    diffusion.denoise(p, x, diffusion.modulation(p, condition, times, step, steps), tables, 2, steps),
  );
  assert.is(labels.filter((label) => !/adaLN|add_silu/.test(label)).length, 17 * steps + 1); // input_proj before the first
});

test.run();
