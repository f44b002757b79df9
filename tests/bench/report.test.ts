// Reports: what was written is read again, whatever the schema; what is no report is an error or text; what changed is told
// from what did not.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import { compareReports } from '../../bench/compare.ts';
import { packReport, unpackReport } from '../../bench/link.ts';
import { markdown, summary, tables } from '../../bench/present.ts';
import { readReport } from '../../bench/read_report.ts';
import { type Report, schema } from '../../bench/report.ts';

const report = (kernels: Report['kernels'], more: Partial<Report> = {}): Report => ({
  schema,
  date: '2026-01-01T00:00:00.000Z',
  version: '0.1.0',
  adapter: {
    name: 'Some GPU',
    vendor: 'some',
    architecture: '',
    device: '',
    driver: '1.0',
    kind: 'hardware',
    runtime: 'Node 22',
    features: ['subgroups'],
    limits: { maxBufferSize: 2 ** 30 },
  },
  clock: { kind: 'timestamps', grid_ns: 1, sample_ms: 5 },
  limits: { fma_gflops: 1000, read_gbps: 100 },
  limit_spread: { fma_gflops: 0.01, read_gbps: 0.01 },
  kernels,
  model: [{ model: 'mmar-0.5b', figure: 'decode', value: 30, unit: 'tokens/s', spread: 0.02 }],
  peers: [{ peer: 'onnxruntime', op: 'matmul', shape: '1×2×3', ms: 2, spread: 0.1, ratio: 1.5 }],
  notes: [],
  ...more,
});
const kernel = (m: number, ms: number, more: Partial<Report['kernels'][number]> = {}): Report['kernels'][number] => ({
  op: 'matmul',
  m,
  k: 64,
  n: 64,
  variant: 'tiled',
  ms,
  spread: 0.02,
  gflops: 10,
  share: 0.5,
  bound: 'fma_gflops',
  agrees: true,
  ...more,
});
const refuses = (text: string, message: RegExp) =>
  assert.throws(
    () => readReport(text, 'a.json'),
    (e: unknown) => e instanceof MMARError && e.code === 'file' && message.test(e.message),
  );

test('a report is read as it was written', () => {
  const written = report([kernel(1, 2)]);
  assert.equal(readReport(JSON.stringify(written), 'a.json'), written);
});

test('and from a link', async () => {
  const written = report(Array.from({ length: 300 }, (_, i) => kernel(i, i + 1)));
  const link = await packReport(written);
  assert.match(link, /^[\w-]+$/);
  assert.ok(link.length < 20_000);
  assert.equal(await unpackReport(link), written);
});

test('a link that holds none, or too much, is an error', async () => {
  for (const text of ['', 'abc', '%%%', (await packReport(report([]))).slice(0, 60)])
    await unpackReport(text).then(
      () => assert.unreachable(text),
      (e: unknown) => assert.ok(e instanceof MMARError && e.code === 'file', String(e)),
    );
  const bomb = await packReport({ ...report([]), notes: ['x'.repeat(50_000_000)] });
  await unpackReport(bomb).then(
    () => assert.unreachable(),
    (e: unknown) => assert.match((e as Error).message, /over 4000000 bytes/),
  );
});

test('a report of before there were schemas is compared with one of today', () => {
  const old = JSON.stringify({
    adapter: 'Some GPU',
    results: [{ kernel: 'rms_norm', case: '0.5B: 256 rows of 896', ms: 2, gbs: 10 }],
  });
  const before = readReport(old, 'old.json');
  assert.is(before.schema, 0);
  const row = { op: 'rms_norm', shape: '0.5B: 256 rows of 896', variant: '', ms: 3, spread: 0.01 };
  const [change] = compareReports(before, report([row])).changes;
  assert.is(change.ratio, 1.5);
  assert.is(change.verdict, 'worse');
});

test('a report of a later schema is read as far as it is known', () => {
  const later = { ...report([kernel(1, 2)]), schema: schema + 5, weather: 'fine' };
  assert.equal(readReport(JSON.stringify(later), 'later.json').kernels, [kernel(1, 2)]);
});

test('a hostile report is an error or text', () => {
  refuses('no json', /a\.json is no JSON/);
  refuses('[]', /is no report/);
  refuses('{}', /no schema number/);
  refuses('{"schema":1}', /names no adapter/);
  refuses(`{"schema":1,"x":"${'y'.repeat(5_000_000)}"}`, /over 4000000/);
  refuses('['.repeat(1_000_000), /is no JSON|is no report/);
  refuses(JSON.stringify({ schema: 1, adapter: {}, kernels: Array(6000).fill({}) }), /6000 entries/);
  const odd = readReport(
    JSON.stringify({
      schema: 1,
      adapter: {
        name: '<script>alert(1)</script>|\u001b[2J\u202e',
        driver: 7,
        runtime: 'z'.repeat(1000),
        features: 'all',
        limits: { a: 'b', c: 1 },
      },
      kernels: [{ op: 'x', ms: '1' }, { op: 'x', ms: -1 }, { op: ['x'], ms: 1 }, 7, null, { op: 'ok', ms: 1e3, m: {} }],
      limits: { fma_gflops: -1, read_gbps: null },
      model: { length: 9 },
      notes: [{}, '![x](http://y)'],
    }),
    'a.json',
  );
  assert.equal(odd.adapter.name, '<script>alert(1)</script>| [2J ');
  assert.is(odd.adapter.runtime, 'z'.repeat(300));
  assert.equal(odd.adapter.limits, { c: 1 });
  assert.equal(odd.kernels, [{ op: 'ok', variant: '', ms: 1000, spread: 0 }]);
  assert.equal(odd.limits, {});
  assert.equal(odd.model, []);
  const text = markdown(summary(odd), tables(odd));
  assert.not.match(text, /(^|[^\\])[<>]|(^|[^\\])!\[/);
});

test('Markdown has every table', () => {
  const text = markdown(summary(report([kernel(1, 2)])), tables(report([kernel(1, 2)])));
  for (const part of ['## Some GPU', 'GFLOP/s', '1×64×64', 'mmar-0.5b', 'onnxruntime'])
    assert.ok(text.includes(part), part);
});

test('Markdown has every note, before the tables, as text', () => {
  const noted = report([], { notes: ['The tab was hidden: its figures are *void*', 'limits: none'] }),
    text = markdown(summary(noted), tables(noted));
  const [first, second, table] = ['figures are \\*void\\*', 'Note: limits: none', '###'].map((part) =>
    text.indexOf(part),
  );
  assert.ok(first > 0 && second > first && table > second, text);
});

const many = (factor: (i: number) => number, spread = 0.02) =>
  report(Array.from({ length: 12 }, (_, i) => kernel(i, (i + 1) * factor(i), { spread })));
const verdicts = (before: Report, after: Report) =>
  compareReports(before, after).changes.flatMap(({ what, verdict }) =>
    verdict === 'same' ? [] : [`${what} ${verdict}`],
  );

test('a kernel that became 1.3 times slower is found, on a machine that did too', () => {
  for (const machine of [1, 1.25]) {
    const slower = many((i) => machine * (i === 5 ? 1.3 : 1));
    assert.equal(
      verdicts(
        many(() => 1),
        slower,
      ),
      ['matmul 5×64×64 tiled worse'],
    );
    assert.equal(
      verdicts(
        slower,
        many(() => 1),
      ),
      ['matmul 5×64×64 tiled better'],
    );
    assert.is(
      compareReports(
        many(() => 1),
        slower,
      ).throughout,
      machine,
    );
  }
});

test('what noise explains is no change', () => {
  const tenth = (i: number) => (i === 5 ? 1.1 : 1); // where operands lie may cost as much
  assert.equal(
    verdicts(
      many(() => 1, 0),
      many(tenth, 0),
    ),
    [],
  );
  const wave = (i: number) => 1 + 0.17 * Math.sin(i * 7);
  assert.equal(
    verdicts(
      many(() => 1, 0.1),
      many(wave, 0.1),
    ),
    [],
  );
  assert.is.not(
    verdicts(
      many(() => 1, 0.01),
      many(wave, 0.01),
    ).length,
    0,
  );
});

test('times relative to what was timed in between count where both have them', () => {
  const row = (ms: number, relative: number) => kernel(1, ms, { relative, relative_spread: 0.01 });
  assert.equal(verdicts(report([row(1, 1)]), report([row(2, 1.02)])), []);
  assert.equal(verdicts(report([row(1, 1)]), report([row(1, 1.4)])), ['matmul 1×64×64 tiled worse']);
});

test.run();
