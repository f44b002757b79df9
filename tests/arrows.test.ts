// Imports run one way: each room knows those beneath it and none above, and no files import each other in a circle.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';

const model = ['model', 'shaders', 'engine', 'loaders', 'base'];
/** What each room may import, itself aside. */
const beneath: Record<string, string[]> = {
  base: [],
  engine: ['base'],
  shaders: ['engine', 'base'],
  loaders: ['base'],
  model: model.slice(1),
  training: model,
  numerics: model,
  bench: model,
  platform: ['loaders', 'engine', 'base'],
  cli: ['bench', 'training', 'numerics', 'platform', ...model],
  web: ['bench', 'training', 'numerics', 'platform', ...model],
};
/** Programs that a developer runs, and so doors: they bring Node's platform and may share what the command line has. */
const doors = ['bench/draw.ts', 'bench/model.ts', 'bench/train.ts', 'bench/harness.ts'];

interface Import {
  from: string;
  to: string;
  /** Of types alone: nothing is left of it when the program runs. */
  types: boolean;
}

const roomOf = (file: string): string => file.split('/')[0];

function importsOf(from: string, text: string): Import[] {
  const found = text.matchAll(
    /^(?:import|export)\b(?<what>[^;]*?)\bfrom '(?<place>\.[^']+)'|\bimport\('(?<late>\.[^']+)'\)/gm,
  );
  return [...found].map(({ groups }) => ({
    from,
    to: path.posix.join(path.posix.dirname(from), groups!.place ?? groups!.late),
    types: groups!.what?.trim().startsWith('type ') ?? false,
  }));
}

/** Data (JSON, WGSL) belongs to no room. */
const runsBack = ({ from, to }: Import): boolean =>
  !doors.includes(from) &&
  to.endsWith('.ts') &&
  to.includes('/') &&
  roomOf(from) !== roomOf(to) &&
  !beneath[roomOf(from)].includes(roomOf(to));

/** A circle of files, or undefined. */
function circle(imports: Import[]): string[] | undefined {
  const next = new Map<string, string[]>();
  for (const { from, to, types } of imports) if (!types) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (file: string, way: string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const to of next.get(file) ?? []) {
      const found = walk(to, [...way, file]);
      if (found) return found;
    }
    done.add(file);
    return undefined;
  };
  for (const file of next.keys()) {
    const found = walk(file, []);
    if (found) return found;
  }
  return undefined;
}

const files = Object.keys(beneath)
  .filter((room) => fs.existsSync(room))
  .flatMap((room) =>
    fs.readdirSync(room, { recursive: true, encoding: 'utf8' }).map((file) => path.posix.join(room, file)),
  )
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !file.includes('node_modules/'));
const imports = files.flatMap((file) => importsOf(file, fs.readFileSync(file, 'utf8')));

test('every import is seen', () => {
  for (const room of ['engine', 'shaders', 'loaders', 'model', 'platform', 'cli', 'web'])
    assert.ok(
      imports.some(({ from, to }) => roomOf(from) === room && to === 'base/error.ts'),
      room,
    );
  for (const { from, to } of imports) assert.ok(fs.existsSync(to), `${from} imports ${to}`);
  const text =
    "import { a } from './b.ts';\nexport {\n  c,\n} from '../x/y.ts';\nimport type { D } from './d.ts';\nawait import('./e.ts');";
  assert.equal(
    importsOf('x/z.ts', text).map(({ to, types }) => [to, types]),
    [
      ['x/b.ts', false],
      ['x/y.ts', false],
      ['x/d.ts', true],
      ['x/e.ts', false],
    ],
  );
});

test('no arrow runs back', () => {
  assert.equal(
    imports.filter(runsBack).map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
  assert.ok(runsBack({ from: 'shaders/rope.ts', to: 'model/qwen2.ts', types: true }));
});

test('no files import each other', () => {
  assert.is(circle(imports), undefined);
  const arrow = (from: string, to: string): Import => ({ from, to, types: false });
  assert.equal(circle([arrow('a', 'b'), arrow('b', 'c'), arrow('c', 'b')]), ['b', 'c', 'b']);
});

test.run();
