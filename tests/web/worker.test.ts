// A model in a worker by its API: what it draws and says is what its streams give, a call stopped before its first answer
// is stopped, a model closed in the loop of its stream closes, and the loss of a device is told.
import * as assert from 'uvu/assert';
import { inBrowsers } from './harness.ts';

await inBrowsers('worker', (test) => {
  test('results, streams, stops, closing, loss', async (opened) => {
    await opened.open();
    const { page, server } = opened;
    const got = await page.evaluate(async (url) => {
      const { connectWorker } = (await import(`${url}mmar.js`)) as typeof import('../../browser.ts');
      const engine = connectWorker();
      const load = () => engine.loadMMAR(`${url}checkpoints/emoji`, { keep: false });
      const code = (call: Promise<unknown>) =>
        call.then(
          () => 'none',
          (error: { code: string }) => error.code,
        );
      const model = await load();
      const settings = { prompt: 'pizza', iterations: 4, steps: 2 };
      const options = { ...settings, seed: 3 };

      const alone = await model.generate(options);
      let streamed: number[] = [];
      let steps = 0;
      for await (const step of model.generateStream(options)) {
        steps++;
        streamed = [...(await step.tokens())];
      }
      const [first, second] = await model.generate({ ...settings, seeds: [3, 4] });
      const answer = await model.describe({ image: alone.picture, max_new_tokens: 4, temperature: 0 });
      let said = '';
      for await (const { text } of model.describeStream({ image: alone.picture, max_new_tokens: 4, temperature: 0 }))
        said += text;

      const { width, height, data } = alone.picture;
      const pixels = new ImageData(new Uint8ClampedArray(data), width, height);
      const kinds = { picture: alone.picture, pixels, bitmap: await createImageBitmap(pixels) };
      const encoded: Record<string, number[]> = {};
      for (const [kind, image] of Object.entries(kinds)) encoded[kind] = [...(await model.encode({ image })).tokens];

      const stopped: string[] = [];
      const stop = async (call: (signal: AbortSignal) => Promise<unknown>) => {
        const control = new AbortController();
        const ended = code(call(control.signal));
        control.abort();
        stopped.push(await ended);
      };
      await stop((signal) => model.generate({ ...options, signal }));
      await stop((signal) => model.describe({ image: alone.picture, signal }));
      await stop((signal) => model.generateStream({ ...options, signal }).next());

      const closed = await code(
        (async () => {
          for await (const _ of model.generateStream(options)) await model.close();
        })(),
      );

      const lost = await load();
      const told = new Promise<string>((resolve) => {
        lost.onLost = resolve;
      });
      await engine.loseDevice();
      const message = await told;
      engine.terminate();
      const late = await code(lost.generate(options));
      return {
        alone: [...alone.tokens],
        streamed,
        steps,
        first: [...first.tokens],
        second: [...second.tokens],
        answer: answer.text,
        said,
        encoded,
        stopped,
        closed,
        message,
        late,
      };
    }, server.url);
    assert.ok(got.alone.some((value) => value !== 0));
    assert.equal(got.streamed, got.alone);
    assert.is(got.steps, 4);
    assert.equal(got.first, got.alone);
    assert.not.equal(got.second, got.alone);
    assert.ok(got.answer.length > 0);
    assert.is(got.said, got.answer);
    assert.ok(got.encoded.picture.some((value) => value !== got.encoded.picture[0]));
    assert.equal(got.encoded.pixels, got.encoded.picture);
    assert.equal(got.encoded.bitmap, got.encoded.picture);
    assert.equal(got.stopped, ['cancelled', 'cancelled', 'cancelled']);
    assert.is(got.closed, 'usage');
    assert.match(got.message, /the graphics device was lost/);
    assert.is(got.late, 'device');
  });

  test("a graphics card's first load of a model measures its kernels, can be told not to, and does so once", async (opened) => {
    await opened.open();
    const got = await opened.page.evaluate(async (url) => {
      const { connectWorker } = (await import(`${url}mmar.js`)) as typeof import('../../browser.ts');
      const visit = async () => {
        const engine = connectWorker();
        await engine.openDevice({ kind: 'hardware' });
        let tuned = false;
        const onProgress = ({ tuning }: { tuning?: object }) => {
          if (tuning && !tuned) void engine.skipTuning();
          tuned ||= tuning !== undefined;
        };
        const model = await engine.loadMMAR(`${url}checkpoints/emoji`, { keep: false, onProgress });
        const { weights } = await model.memory();
        engine.terminate();
        return { tuned, loaded: weights > 1e6 };
      };
      return [await visit(), await visit()];
    }, opened.server.url);
    assert.equal(got, [
      { tuned: true, loaded: true },
      { tuned: false, loaded: true },
    ]);
  });
});
