// Many pictures, answers and stops in one process (`node tests/large/soak.mjs`): other prompts, temperatures and lengths each
// time, a drawing and an answer asked for at once, stops at random moments. At the end the memory of device and host is
// that of the tenth round, and some rounds done again give what they gave. MMAR_ROUNDS says how many; 200 unless set.
import { MMARError } from '../../base/error.ts';
import type { Picture } from '../../base/platform.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { nodePlatform } from '../../platform/node.ts';
import { device } from '../gpu.ts';

const rounds = Number(process.env.MMAR_ROUNDS ?? 200);
const model = await loadMMAR(nodePlatform.source('checkpoints/emoji'), { device, platform: nodePlatform });
const words = ['red apple', 'banana', 'pizza', 'cat face', 'dog face', 'rocket', 'rainbow', 'soccer ball'];

/** What a round asks for; no two rounds ask the same. */
function asked(round: number) {
  const some = Array.from({ length: 1 + (round % 5) }, (_, i) => words[(round + i) % words.length]);
  const prompt = `${some.join(' and ')} ${round}`;
  const drawing = {
    prompt,
    seed: round,
    iterations: 2 + (round % 7),
    steps: 2 + (round % 3),
    temperature: 0.5 + round / 400,
    cfg: round % 4 ? 3 : 1,
  };
  const answer = { question: `${prompt}?`, temperature: round / 200, seed: round, max_new_tokens: 1 + (round % 4) };
  return { drawing, answer };
}

/** A picture is read while another is drawn; the two calls take turns. */
async function play(round: number, read: Picture): Promise<{ picture: Picture; ids: number[] }> {
  const { drawing, answer } = asked(round);
  const [drawn, said] = await Promise.all([model.generate(drawing), model.describe({ image: read, ...answer })]);
  if (drawn.seed !== round || drawn.prompt !== drawing.prompt) throw new Error(`round ${round} got another's result`);
  if (said.ids.length > answer.max_new_tokens) throw new Error(`round ${round}: ${said.ids.length} tokens`);
  return { picture: drawn.picture, ids: [...said.ids] };
}

async function stopped(round: number, read: Picture): Promise<boolean> {
  const { drawing, answer } = asked(round);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), Math.random() * (round % 2 ? 100 : 400));
  const call =
    round % 2
      ? model.describe({ image: read, ...answer, max_new_tokens: 32, signal: stop.signal })
      : model.generate({ ...drawing, signal: stop.signal });
  try {
    await call;
    return false;
  } catch (error) {
    if (!(error instanceof MMARError && error.code === 'cancelled')) throw error;
    return true;
  } finally {
    clearTimeout(timer);
  }
}

const memory = () => ({ device: device.memory.held, host: process.memoryUsage().rss });
const same = (a: Picture, b: Picture) => Buffer.from(a.data.buffer).equals(Buffer.from(b.data.buffer));
const blank: Picture = { width: 64, height: 64, data: new Uint8ClampedArray(64 * 64 * 4).fill(255) };
const results: Awaited<ReturnType<typeof play>>[] = [];
let tenth = memory();
let stops = 0;
for (let round = 0; round < rounds; round++) {
  const read = results.at(-1)?.picture ?? blank;
  results.push(await play(round, read));
  if (await stopped(round, read)) stops++;
  if (round === 9) tenth = memory();
  const { device: held, host } = memory();
  if (round % 10 === 9) console.log(`${round + 1}: ${held} bytes on the device, ${host} of the host`);
}
const end = memory();

const different = new Set(results.map(({ picture }) => Buffer.from(picture.data.buffer).toString('base64'))).size;
if (different < rounds) throw new Error(`only ${different} of ${rounds} pictures differ`);
for (const round of [0, 1, 2, 3, Math.floor(rounds / 3), Math.floor(rounds / 2), rounds - 1]) {
  const again = await play(round, results[round - 1]?.picture ?? blank);
  if (!same(again.picture, results[round].picture)) throw new Error(`round ${round} draws another picture now`);
  if (again.ids.join() !== results[round].ids.join()) throw new Error(`round ${round} answers otherwise now`);
}
await model.close();
const left = device.memory.held;
device.destroy();
const grown = { device: end.device / tenth.device - 1, host: end.host / tenth.host - 1 };
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
console.log(`${rounds} pictures and answers, ${stops} of ${rounds} calls stopped before their end`);
console.log(`since the tenth round ${percent(grown.device)} on the device, ${percent(grown.host)} of the host`);
console.log(`${left} bytes on the device after close`);
process.exit(grown.device > 0.02 || grown.host > 0.1 || left ? 1 : 0);
