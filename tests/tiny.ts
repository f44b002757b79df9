// A model small enough to be made anew in each test, of every part that MMAR has: its config, and the carried tokenizer's files.
import fs from 'node:fs';

export const tiny = JSON.parse(fs.readFileSync('tests/training/tiny.json', 'utf8')) as unknown;

export const tokenizerTexts = ['tokenizer.json', 'tokenizer_config.json'].map(
  (file) => [file, fs.readFileSync(`checkpoints/emoji/${file}`, 'utf8')] as const,
);
