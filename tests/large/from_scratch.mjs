// Teaches a model of a million parameters, all random but the image tokenizer, 32 pictures and their names, and looks at how
// far its loss falls and how many names it reads back: `node tests/large/from_scratch.mjs OUT [--adapter NAME] [train's options]`.
import fs from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { adapter, api, out, root, steps, train } from './lesson.mjs';

const colours = { red: '#e03131', green: '#2f9e44', blue: '#1971c2', yellow: '#f2c100' };
const forms = {
  circle: '<circle cx="32" cy="32" r="24"/>',
  square: '<rect x="10" y="10" width="44" height="44"/>',
  triangle: '<path d="M32 6 58 56 6 56z"/>',
  diamond: '<path d="M32 4 60 32 32 60 4 32z"/>',
  ring: '<path fill-rule="evenodd" d="M32 6a26 26 0 1 0 .1 0zM32 20a12 12 0 1 1-.1 0z"/>',
  cross: '<path d="M24 6h16v18h18v16H40v18H24V40H6V24h18z"/>',
  bar: '<rect x="4" y="22" width="56" height="20"/>',
  moon: '<path d="M44 6a27 27 0 1 0 0 52 32 32 0 0 1 0-52z"/>',
};

/** The carried model's config with sizes that leave a million parameters beside its image tokenizer. */
function smallConfig() {
  const config = JSON.parse(fs.readFileSync(path.join(root, 'checkpoints/emoji/config.json'), 'utf8'));
  Object.assign(config.llm, { hidden_size: 128, num_hidden_layers: 3, num_attention_heads: 4, intermediate_size: 320 });
  config.plora = { rank: 8, alpha: 8 };
  config.embedding_vit = { depth: 1, width: 96, heads: 4, mlp_ratio: 2 };
  config.diffusion = { ...config.diffusion, depth: 2, width: 96, mlp_ratio: 2 };
  return config;
}

async function drawPictures(folder) {
  fs.mkdirSync(folder, { recursive: true });
  const lines = [];
  for (const [colour, fill] of Object.entries(colours))
    for (const [form, shape] of Object.entries(forms)) {
      const file_name = `${colour}-${form}.png`,
        svg = `<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64" fill="${fill}"><path fill="white" d="M0 0h64v64H0z"/>${shape}</svg>`;
      await sharp(Buffer.from(svg)).removeAlpha().png().toFile(path.join(folder, file_name));
      lines.push({ file_name, text: `${colour} ${form}` });
    }
  fs.writeFileSync(path.join(folder, 'metadata.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return lines;
}

const data = path.join(out, 'pictures'),
  pictures = await drawPictures(data),
  config = path.join(out, 'config.json');
fs.writeFileSync(config, JSON.stringify(smallConfig(), undefined, 1));
const usual = ['--steps', '600', '--lr', '2e-3', '--schedule', 'cosine', '--ema', '0.99'];
train(data, '--from-scratch', config, ...usual);

const told = steps();
const mean = (some) => some.reduce((sum, { loss }) => sum + loss, 0) / some.length,
  first = told[0].loss,
  last = mean(told.slice(-20));

const model = await api.loadMMAR(path.join(out, 'run/model'), { adapter });
let read = 0;
for (const { file_name, text } of pictures) {
  const image = await api.platform.decodePicture(fs.readFileSync(path.join(data, file_name)), file_name),
    { text: answer } = await model.describe({ image });
  if (answer.trim() === text) read++;
  else console.log(`${text}: read as ${answer.trim()}`);
}
await model.close();
console.log(
  `${told.length} steps, ${told.at(-1).seconds.toFixed(0)} s: loss ${first.toFixed(2)} at first, ${last.toFixed(3)} over the last 20 steps (${(last / first).toFixed(3)} of it); ${read} of ${pictures.length} names read back`,
);
process.exit(last <= first / 10 && read >= pictures.length - 2 ? 0 : 1);
