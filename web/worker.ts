// The worker: everything heavy runs here, at the calls of `client.ts`.

import { type ErrorCode, MMARError } from '../base/error.ts';
import type { Picture } from '../base/platform.ts';
import { identityOf, tuneFirstLoad } from '../bench/tune.ts';
import type { Device } from '../engine/device.ts';
import { type Checkpoint, openCheckpoint } from '../loaders/checkpoint.ts';
import { memorySource } from '../loaders/memory_source.ts';
import type {
  BatchOptions,
  ChatOptions,
  DecodeOptions,
  DescribeOptions,
  EncodeOptions,
  GenerateOptions,
  GenerateStep,
  PatchInput,
  StepPicture,
  TeachOptions,
} from '../model/api.ts';
import { loadMMAR, type MMAR } from '../model/mmar.ts';
import { openPlace } from '../model/place.ts';
import type { PLoRA } from '../model/system.ts';
import type { TraceTensors } from '../model/trace.ts';
import type { Activations } from '../model/weights.ts';
import { scatter } from '../numerics/scatter.ts';
import { ChessboardRun } from '../numerics/simulation.ts';
import { blockSource } from '../platform/block_source.ts';
import { absolute, browserPlatform, type DeviceOptions, openDevice } from '../platform/browser.ts';
import { browserTuning } from '../platform/browser_tuning.ts';
import { deleteKeptModel, keptModels, opfsKeep } from '../platform/opfs.ts';
import { teachStream as teacher } from '../training/teach.ts';
import { LoadMeter } from './load_meter.ts';
import type { Answer, Call, ChessboardCall, ChessboardState, LoadState, ModelDescription } from './protocol.ts';

/** Steps whose pictures can be asked for: the latest of all streams. */
const mostSteps = 256;

const stops = new Map<number, AbortController>(),
  models = new Map<number, MMAR>(),
  streams = new Map<number, AsyncGenerator<unknown, unknown>>(),
  steps = new Map<number, StepPicture[]>();
let device: Device | undefined,
  made = 0,
  stepped = 0;

/** Ends the tuning of the load under way. */
let skip = new AbortController();

/** Lets the device choose by what was measured in this browser, and measures what a GPU loads for the first time. */
async function tuneModel(on: Device, checkpoint: Checkpoint, meter: LoadMeter, signal: AbortSignal): Promise<void> {
  const identity = identityOf(on, navigator.userAgent),
    config = await checkpoint.json('config.json', signal);
  skip = new AbortController();
  const abort = () => skip.abort();
  signal.addEventListener('abort', abort);
  on.tuning.fromText(await browserTuning.load(identity));
  const show = (tuning: LoadState['tuning']) => meter.set({ tuning });
  try {
    await tuneFirstLoad(on, identity, config, {
      store: browserTuning,
      signal: skip.signal,
      onBegin: () => show({ done: 0, total: 0 }),
      onTuned: (_, done, total) => show({ done, total }),
    });
  } finally {
    signal.removeEventListener('abort', abort);
    show(undefined);
  }
}

const say = (answer: Answer, transfer: Transferable[] = []) =>
  (globalThis as unknown as Worker).postMessage(answer, transfer);
const notice = (text: string) => say({ notice: text });

function find<T>(map: Map<number, T>, id: number, what: string): T {
  const found = map.get(id);
  if (!found) throw new MMARError('usage', `this ${what} is no longer there: load it again`);
  return found;
}

/** What a call may use besides its arguments. */
interface CallContext {
  id: number;
  signal: AbortSignal;
  event: (value: unknown) => void;
}

const methods = {
  async openDevice(_: CallContext, options: DeviceOptions) {
    for (const model of models.values()) await model.close().catch(() => {}); // of a device that is lost
    models.clear();
    device?.destroy();
    const opened = await openDevice(options);
    device = opened;
    void opened.gpu.lost.then(({ message, reason }) => {
      if (device === opened)
        say({
          lost: `the graphics device was lost (${reason || 'unknown'})${message ? `: ${message.split('\n')[0]}` : ''}`,
        });
    });
    return opened.adapter;
  },

  /** Loses the device as a driver would, to see what happens then. */
  async loseDevice() {
    device?.gpu.destroy();
  },

  async load(
    context: CallContext,
    from: string | Map<string, Blob>,
    {
      precision,
      plora,
      keep,
      patch,
      tune = true,
    }: { precision?: Activations; plora?: PLoRA; keep?: boolean; patch?: PatchInput; tune?: boolean },
  ): Promise<ModelDescription> {
    if (!device) await methods.openDevice(context, {});
    const { signal, event } = context;
    const meter = new LoadMeter(event),
      store = keep && typeof from === 'string' ? await opfsKeep(notice) : undefined;
    if (keep && typeof from === 'string' && !store)
      notice('this browser keeps no files for this page, so the model is loaded anew at each visit');
    const open = (where: string) =>
      blockSource(absolute(where), { keep: store, onTraffic: (traffic) => meter.set(traffic) });
    const source =
      typeof from === 'string' ? await openPlace(from, open, signal) : memorySource('the picked files', from);
    try {
      const checkpoint = await openCheckpoint(source, signal);
      let size = 0;
      for (const file of new Set([...checkpoint.tensors.values()].map((place) => place.file)))
        size += (await source.size(file, signal)) ?? 0;
      meter.set({ size });
      if (tune) await tuneModel(device!, checkpoint, meter, signal);
      const model = await loadMMAR(checkpoint, {
        device: device!,
        precision,
        plora,
        platform: browserPlatform,
        teacher,
        patch,
        onProgress: (progress) => meter.set(progress),
        signal,
      });
      await model.tokenizer().catch(() => {}); // while the files are open; whoever needs it is told
      models.set(++made, model);
      const { config, defaults, settingsTable } = model;
      return { model: made, config, defaults, settingsTable };
    } finally {
      await source.close();
    }
  },

  /** Ends the measuring of kernels that a load waits for. */
  async skipTuning() {
    skip.abort();
  },

  async close(_: CallContext, model: number) {
    await models.get(model)?.close();
    models.delete(model);
  },

  async generateStream({ id, signal }: CallContext, model: number, options: GenerateOptions | BatchOptions) {
    streams.set(id, find(models, model, 'model').generateStream({ ...options, signal }));
  },

  async describeStream({ id, signal }: CallContext, model: number, options: DescribeOptions) {
    streams.set(id, find(models, model, 'model').describeStream({ ...options, signal }));
  },

  async chatStream({ id, signal }: CallContext, model: number, options: ChatOptions) {
    streams.set(id, find(models, model, 'model').chatStream({ ...options, signal }));
  },

  async teachStream({ id, signal }: CallContext, model: number, options: TeachOptions) {
    streams.set(id, find(models, model, 'model').teachStream({ ...options, signal }));
  },

  usePatch: ({ signal }: CallContext, model: number, patch: PatchInput) =>
    find(models, model, 'model').usePatch(patch, signal),
  savePatch: (_: CallContext, model: number) => find(models, model, 'model').savePatch(),
  forget: (_: CallContext, model: number) => find(models, model, 'model').forget(),
  teach: ({ signal }: CallContext, model: number, options: TeachOptions) =>
    find(models, model, 'model').teach({ ...options, signal }),
  generate: ({ signal }: CallContext, model: number, options: GenerateOptions | BatchOptions) =>
    find(models, model, 'model').generate({ ...options, signal } as BatchOptions),
  describe: ({ signal }: CallContext, model: number, options: DescribeOptions) =>
    find(models, model, 'model').describe({ ...options, signal }),
  chat: ({ signal }: CallContext, model: number, options: ChatOptions) =>
    find(models, model, 'model').chat({ ...options, signal }),

  /** The next step of a stream, or its result; a step's functions stay here, under its number. */
  async next(_: CallContext, stream: number) {
    const { done, value } = await find(streams, stream, 'run').next();
    if (done || !isDrawing(value)) return { done, value };
    steps.set(++stepped, value.pictures);
    if (steps.size > mostSteps) steps.delete(steps.keys().next().value!);
    return { done, value: { ...data(value), pictures: value.pictures.map(data), step: stepped } };
  },

  async finish(_: CallContext, stream: number) {
    await streams.get(stream)?.return(undefined);
    streams.delete(stream);
    stops.delete(stream);
  },

  preview: ({ signal }: CallContext, step: number, picture: number) => pictureOf(step, picture).preview(signal),
  tokens: (_: CallContext, step: number, picture: number) => pictureOf(step, picture).tokens(),
  codes: (_: CallContext, step: number, picture: number) => pictureOf(step, picture).codes(),
  encode: ({ signal }: CallContext, model: number, options: EncodeOptions) =>
    find(models, model, 'model').encode({ ...options, signal }),
  decode: ({ signal }: CallContext, model: number, options: DecodeOptions) =>
    find(models, model, 'model').decode({ ...options, signal }),
  trace: (_: CallContext, model: number, part: string, inputs: TraceTensors, settings: Record<string, string>) =>
    find(models, model, 'model').trace(part, inputs, settings),
  memory: async (_: CallContext, model: number) => find(models, model, 'model').memory(),
  setProfile: async (_: CallContext, model: number, on: boolean) => find(models, model, 'model').setProfile(on),
  /** Runs the chessboard; tells its steps, and where the points are by then. */
  async chessboard({ signal, event }: CallContext, { samples, prediction, type, ...settings }: ChessboardCall) {
    if (!device) throw new MMARError('usage', 'no device is open: call openDevice first');
    const run = new ChessboardRun(device, samples, settings);
    const look = async (points: number) => scatter(await run.points(points));
    try {
      let shown = performance.now();
      const onStep = async (done: number, steps: number) => {
        const due = performance.now() - shown > 500;
        if (due) shown = performance.now();
        event({ done, steps, picture: due ? await look(20_000) : undefined } satisfies ChessboardState);
      };
      const score = await run.run(prediction, type, { signal, onStep });
      return { score, picture: await look(100_000) };
    } finally {
      await run.release();
    }
  },
  kept: () => keptModels(),
  deleteKept: (_: CallContext, url: string) => deleteKeptModel(url),
};

const isDrawing = (value: unknown): value is GenerateStep =>
  typeof value === 'object' && !!value && 'pictures' in value;

/** What can be sent of an object: all but its functions. */
const data = (value: object): object =>
  Object.fromEntries(Object.entries(value).filter(([key, v]) => typeof v !== 'function' && key !== 'pictures'));

const pictureOf = (step: number, picture: number): StepPicture => find(steps, step, 'step')[picture];

/** What a failure is to the page: where the device was lost, that is why, whatever the browser says first. */
async function explain(error: unknown, used: Device | undefined): Promise<{ code?: ErrorCode; message: string }> {
  if (error instanceof MMARError) return { code: error.code, message: error.message };
  await Promise.race([used?.gpu.lost, new Promise((resolve) => setTimeout(resolve, 3000))]); // that can be told late
  try {
    used?.check();
  } catch (failure) {
    return { code: (failure as MMARError).code, message: (failure as MMARError).message };
  }
  return { message: `${(error as Error)?.name}: ${(error as Error)?.message}` };
}

/** Pixels that are handed over and not copied. */
function pixelsOf(value: unknown): Transferable[] {
  const picture = (value as { picture?: Picture } | undefined)?.picture ?? (value as Picture | undefined);
  return picture?.data?.buffer instanceof ArrayBuffer ? [picture.data.buffer] : [];
}

async function answer(id: number, method: string, args: unknown[]): Promise<void> {
  const stop = new AbortController(),
    used = device;
  stops.set(id, stop);
  try {
    const run = methods[method as keyof typeof methods] as unknown as (
      context: CallContext,
      ...args: unknown[]
    ) => Promise<unknown>;
    if (!run) throw new MMARError('usage', `the worker has no ${method}`);
    const value = await run({ id, signal: stop.signal, event: (event) => say({ id, event }) }, ...args);
    say({ id, value }, pixelsOf(value));
  } catch (error) {
    say({ id, error: await explain(error, used) });
  } finally {
    if (!streams.has(id)) stops.delete(id); // a stream's signal lives as long as it does
  }
}

globalThis.addEventListener('message', ({ data }: MessageEvent<Call>) => {
  if ('abort' in data) stops.get(data.abort)?.abort();
  else void answer(data.id, data.method, data.args);
});
