// What the README says holds: its two commands, its links, its commands' names, its program.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mmar, root } from './mmar.ts';

const readme = fs.readFileSync(path.join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language, text]) => ({ language, text }));

test('the first two blocks are the two commands, alone', () => {
  assert.equal(blocks.slice(0, 2), [
    { language: 'sh', text: 'npm start\n' },
    { language: 'sh', text: 'npm test\n' },
  ]);
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const [, name] of readme.matchAll(/npm (?:run )?(start|test|(?<=run )[a-z]+)/g))
    assert.ok(name in scripts, `npm run ${name}`);
});

test('links and files that it names are there', () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)]
    .map(([, place]) => place)
    .filter((place) => !/^https:/.test(place));
  const files = [...readme.matchAll(/`((?:docs|tests|shaders|model|checkpoints)\/[\w./-]+\.\w+)`/g)].map(
    ([, file]) => file,
  );
  for (const file of [...links, ...files])
    if (!/NAME/.test(file)) assert.ok(fs.existsSync(path.join(root, file)), file);
});

test('its commands and their options exist', async () => {
  const lines = readme
    .split('\n')
    .filter((line) => line.startsWith('npx mmar '))
    .map((line) => line.replace(/ +#.*/, ''));
  assert.ok(lines.length > 5);
  const helps = new Map<string, string>();
  for (const line of lines) {
    const [, , command] = line.split(' ');
    if (!helps.has(command)) helps.set(command, (await mmar([command, '--help'])).stdout);
    assert.match(helps.get(command)!, `Usage: mmar ${command}`);
    for (const [option] of line.matchAll(/(?<= )--?[a-z][\w-]*/g))
      assert.match(helps.get(command)!, new RegExp(` ${option}\\b`), line);
  }
});

test('its program draws and reads an apple', () => {
  const { text } = blocks.find(({ language, text }) => language === 'js' && text.includes("from 'mmar'"))!;
  const file = path.join(root, 'dist/readme-example.mjs'); // within the package, which can import itself
  fs.writeFileSync(file, text);
  const out = execFileSync(process.execPath, [file], {
    encoding: 'utf8',
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  assert.match(out, /^64 of 64 tokens\nred apple$/m);
});

test.run();
