// Many pictures, answers and stops in one process (`node tests/large/soak.mjs`): other prompts, temperatures and lengths each
// time, stops at random moments; memory at the end is that of the tenth round. MMAR_ROUNDS says how many; 200 unless set.
import { MMARError } from '../../base/error.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { nodePlatform } from '../../platform/node.ts';
import { device } from '../gpu.ts';

const rounds = Number(process.env.MMAR_ROUNDS ?? 200);
const model = await loadMMAR(nodePlatform.source('checkpoints/emoji'), { device, platform: nodePlatform });
const words = ['red apple', 'banana', 'pizza', 'cat face', 'dog face', 'rocket', 'rainbow', 'soccer ball'];
const host = () => process.memoryUsage().rss;
let tenth = { device: 0, host: 0 };

for (let round = 0; round < rounds; round++) {
  const prompt = Array.from({ length: 1 + (round % 5) }, (_, i) => words[(round + i) % words.length]).join(' and ');
  const options = { prompt, seed: round, iterations: 2 + (round % 7), steps: 3, temperature: 0.5 + (round % 50) / 100 };
  const drawn = await model.generate(options);
  if (drawn.seed !== round || drawn.prompt !== prompt) throw new Error(`round ${round} got another's result`);
  const answer = await model.describe({
    image: drawn.picture,
    question: `${prompt}?`,
    temperature: (round % 10) / 10,
    max_new_tokens: 1 + (round % 4),
  });
  if (answer.ids.length > 1 + (round % 4)) throw new Error(`round ${round}: ${answer.ids.length} tokens`);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), Math.random() * 300);
  await model.generate({ ...options, signal: stop.signal }).catch((error: unknown) => {
    if (!(error instanceof MMARError && error.code === 'cancelled')) throw error;
  });
  clearTimeout(timer);
  if (round === 9) tenth = { device: device.memory.held, host: host() };
  if (round % 10 === 9) console.log(`${round + 1}: ${device.memory.held} bytes on the device, ${host()} of the host`);
}
const grown = device.memory.held - tenth.device;
console.log(`since the tenth round ${grown} bytes on the device, ${host() - tenth.host} of the host`);
await model.close();
device.destroy();
process.exit(grown > 0.02 * tenth.device ? 1 : 0);
