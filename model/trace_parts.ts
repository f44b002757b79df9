/** The parts that `trace` runs, each through the code that draws and reads. A variant has those that are its own. */
import { MMARError } from '../base/error.ts';
import type { Recorder } from '../engine/program.ts';
import { packRows, type Tensor } from '../engine/tensor.ts';
import { gatherRows } from '../shaders/gather_rows.ts';
import type { DrawingInput, PictureInput } from './drawing.ts';
import { DiffusionHead } from './heads/diffusion.ts';
import { type ImageTokens, type Segment, Sequence } from './sequence.ts';
import { type DrawingSettings, mostSteps } from './settings.ts';
import type { Outputs, Trace, TraceRun, TraceTensor } from './trace.ts';
import type { MMARSystem, TransfusionSystem, VQSystem } from './variants/index.ts';

const encode: TraceRun = async (t) => {
  const { resolution: S, in_channels } = t.config.image_tokenizer;
  const planes = t.input('pixels', [in_channels, S, S]);
  const { tokens, codes } = await t.model.encodePixels(Float32Array.from(planes));
  const outputs: Outputs = { tokens: { shape: [t.L, t.d], values: tokens } };
  return codes ? { ...outputs, codes: { shape: [t.L], values: codes, integers: true } } : outputs;
};

const decode: TraceRun = async (t) => {
  const { resolution: S, in_channels } = t.config.image_tokenizer;
  const values = await t.model.decodePixels(t.input('tokens', [t.L, t.d]));
  return { pixels: { shape: [in_channels, S, S], values } };
};

const text: TraceRun = async (t) => {
  const ids = t.ids('before');
  if (!ids.length) throw new MMARError('usage', 'trace text: before is empty; give one id or more');
  return read(t, [{ ids }]);
};

const describe: TraceRun = async (t) => {
  const settings = { ...t.answer(), eosIds: await t.model.eosIds() };
  const segments = aroundImage(t, { tokens: t.input('tokens', [t.L, t.d]) }, t.ids('after'));
  const sequence = sequenceFor(t, segments, settings.max_new_tokens);
  const ids: number[] = [];
  try {
    await sequence.read(segments, { next: settings });
    for await (const id of sequence.decode(settings)) ids.push(id);
  } finally {
    await sequence.release();
  }
  return { ids: { shape: [ids.length], values: ids, integers: true } };
};

/** Parts of all systems. */
export const common = { encode, decode, text, describe };

const visual: TraceRun = (t) =>
  t.evaluate(
    (p) => ({
      visual: t.model.system.embed(p, t.upload('tokens', [t.L, t.d]), t.upload('mask', [t.L], 'u32')),
    }),
    { visual: [t.L, t.H] },
  );

const hidden: TraceRun = async (t) => {
  const after = t.has('after') ? t.ids('after') : undefined;
  return read(t, aroundImage(t, maskedImage(t), after));
};

/** Parts of the systems that draw token by token. */
export const masked = { visual, hidden };

export const diffusion: TraceRun = (t) => {
  const { diffusion, activations } = t.model.system as MMARSystem;
  const n = t.rows('x');
  t.ids('t', diffusion.process.timesteps);
  const x = t.upload('x', [n, t.d]);
  const time = t.upload('t', [n], 'u32');
  const z = t.upload('z', [n, t.H], activations);
  const first = t.tensor('u32', [1], [0]);
  return t.evaluate(
    (p) => {
      const modulation = diffusion.modulation(p, diffusion.condition(p, z), diffusion.times(p, time), first, 1, 1);
      return { out: diffusion.forward(p, x, modulation, 0) };
    },
    { out: [n, t.d] },
  );
};

/** The head alone, on z from the file as if n tokens were drawn at once. */
export const sample: TraceRun = async (t) => {
  const { diffusion, activations } = t.model.system as MMARSystem;
  const { device } = t.model;
  const n = t.rows('z');
  const settings = t.drawing();
  const steps = mostSteps(settings.steps);
  const guided = t.has('z_uncond');
  const z = [...Array.from(t.input('z', [n, t.H])), ...(guided ? Array.from(t.input('z_uncond', [n, t.H])) : [])];
  const branches = guided ? 2 : 1;
  const hidden = t.tensor(activations, [branches * n, t.H], z);
  const canvas = {
    device,
    pictures: 1,
    branches,
    activations,
    hidden: (p: Recorder, chosen: Tensor) => gatherRows(p, hidden, chosen, branches),
    tokens: t.tensor('f32', [n, t.d], []),
    mask: t.tensor('u32', [n], new Uint32Array(n).fill(1)),
  } as const;
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  const chance = {
    noise: t.input('noise', [n, t.d]),
    stepNoise: settings.eta > 0 ? t.input('step_noise', [steps, n, t.d]) : undefined,
  };
  const head = new DiffusionHead(canvas, diffusion, steps, settings.eta > 0);
  try {
    await head.begin([{ order, chance }], settings);
    await head.draw({ chosen: order, guidance: settings.cfg, known: 0, total: n });
    return { tokens: { shape: [n, t.d], values: await device.read(canvas.tokens) } };
  } finally {
    await device.queue.idle().catch(() => {});
    await head.release();
  }
};

/** A drawing of continuous tokens; `order` is read where the file has one. */
export const generate: TraceRun = async (t) => {
  const settings = t.drawing();
  const steps = mostSteps(settings.steps);
  const chance = {
    noise: t.input('noise', [t.L, t.d]),
    stepNoise: settings.eta > 0 ? t.input('step_noise', [steps, t.L, t.d]) : undefined,
  };
  const { tokens } = await draw(t, chance, settings);
  return { tokens: { shape: [t.L, t.d], values: tokens } };
};

export const generateCodes: TraceRun = async (t) => {
  const settings = t.drawing();
  const uniform = settings.temperature > 0 ? t.input('uniform', [t.L]) : undefined;
  const { codes } = await draw(t, { uniform }, settings);
  return { codes: { shape: [t.L], values: codes!, integers: true } };
};

/** Logits of the codebook's codes at every position. */
export const imageLogits: TraceRun = async (t) => {
  const { head, activations, config } = t.model.system as VQSystem;
  const { hidden } = await read(t, aroundImage(t, maskedImage(t)));
  const first = (hidden.shape[0] - t.L) * t.H;
  const z = t.tensor(activations, [t.L, t.H], Array.from(hidden.values).slice(first));
  return t.evaluate((p) => ({ image_logits: head.forward(p, z) }), {
    image_logits: [t.L, config.image_tokenizer.codebook_size],
  });
};

/** Transfusion's denoiser at one time. */
export const denoise: TraceRun = async (t) => {
  const system = t.model.system as TransfusionSystem;
  const before = t.ids('before');
  const [time] = t.ids('t', system.process.timesteps);
  const tokens = t.input('tokens', [t.L, t.d]);
  const capacity = before.length + 1 + t.L;
  const drawing = system.makeDrawing(
    t.model.device,
    { pictures: 1, branches: 1, capacity },
    { ...t.drawing(), steps: 1, eta: 0 },
  );
  try {
    return { out: { shape: [t.L, t.d], values: await drawing.denoise(before, tokens, time) } };
  } finally {
    await drawing.release();
  }
};

async function draw(t: Trace, chance: PictureInput['chance'], settings: DrawingSettings) {
  const order = t.has('order')
    ? Uint32Array.from(t.input('order', [t.L]))
    : Uint32Array.from({ length: t.L }, (_, i) => i);
  const input: DrawingInput = { before: t.ids('before'), uncond: t.ids('uncond'), pictures: [{ order, chance }] };
  return t.model.drawTokens(input, settings);
}

const maskedImage = (t: Trace): ImageTokens => ({
  tokens: t.input('tokens', [t.L, t.d]),
  mask: t.input('mask', [t.L]),
});

/** The text before, the image, and where `after` is given image end and that text. */
function aroundImage(t: Trace, image: ImageTokens, after?: number[]): Segment[] {
  const { image_start, image_end } = t.model.system.llm;
  const head: Segment[] = [{ ids: [...t.ids('before'), image_start] }, { image }];
  return after ? [...head, { ids: [image_end, ...after] }] : head;
}

function sequenceFor(t: Trace, segments: Segment[], more: number): Sequence {
  const length = segments.reduce((sum, segment) => sum + ('ids' in segment ? segment.ids.length : t.L), 0);
  return new Sequence(t.model.device, t.model.system.llm, length + more, { sight: t.model.system });
}

/** Hidden states of every position, and the text head's logits of the last. */
async function read(t: Trace, segments: Segment[]): Promise<{ hidden: TraceTensor; logits: TraceTensor }> {
  const { device, system } = t.model;
  const sequence = sequenceFor(t, segments, 1);
  const values: number[] = [];
  let last: Float32Array = new Float32Array();
  try {
    await sequence.read(segments, {
      async observe(hidden: Tensor) {
        const rows = await device.read(hidden);
        for (const value of rows) values.push(value);
        last = rows.subarray(rows.length - t.H);
      },
    });
  } finally {
    await sequence.release();
  }
  const row = device.tensor('last', system.activations, [1, t.H]);
  try {
    device.write(row, packRows(row.type, t.H, last));
    const { logits } = await device.evaluate('logits', (p) => ({ logits: system.llm.logits(p, row) }));
    const { vocab_size } = t.config.llm;
    return {
      hidden: { shape: [values.length / t.H, t.H], values },
      logits: { shape: [vocab_size], values: logits.subarray(0, vocab_size) },
    };
  } finally {
    device.release(row);
  }
}
