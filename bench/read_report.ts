import { MMARError } from '../base/error.ts';
import type { KernelRow, ModelRow, PeerRow, Report } from './report.ts';

/** What no report passes: one that does is none of ours. */
const most = { text: 4_000_000, rows: 5_000, keys: 200, letters: 300 };

/** Reads a report's text, of this schema or an older one. Throws `file` where it is none; whatever is unknown in it is left out. */
export function readReport(text: string, place: string): Report {
  if (text.length > most.text) fail(place, `has ${text.length} characters, over ${most.text}`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    fail(place, `is no JSON (${(cause as Error).message.slice(0, 80)})`);
  }
  return new Reader(place).report(migrate(json, place));
}

function fail(place: string, what: string): never {
  throw new MMARError('file', `${place} ${what}; give a report that mmar bench --json wrote`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Brings an older report to this schema's form. */
function migrate(json: unknown, place: string): Record<string, unknown> {
  if (!isObject(json)) fail(place, 'is no report');
  if (json.schema === undefined && Array.isArray(json.results)) return fromSchema0(json);
  if (typeof json.schema !== 'number') fail(place, 'has no schema number');
  return json;
}

/** Before there was a schema: `{ adapter: name, results: [{ kernel, case, ms, gflops, gbs }] }`. */
function fromSchema0({ adapter, results }: Record<string, unknown>): Record<string, unknown> {
  const kernels = (results as unknown[]).filter(isObject).map(({ kernel, case: shape, ms, gflops, gbs }) => ({
    op: kernel,
    shape,
    variant: '',
    ms,
    spread: 0.05,
    gflops,
    gbps: gbs,
  }));
  return { schema: 0, adapter: { name: adapter }, kernels };
}

/** Takes what is sound out of anything. */
class Reader {
  constructor(private readonly place: string) {}

  report(json: Record<string, unknown>): Report {
    const adapter = isObject(json.adapter) ? json.adapter : fail(this.place, 'names no adapter');
    const clock = isObject(json.clock) ? json.clock : undefined;
    return {
      schema: this.number(json.schema) ?? 0,
      date: this.text(json.date),
      version: this.text(json.version),
      adapter: {
        name: this.text(adapter.name) || 'unknown adapter',
        vendor: this.text(adapter.vendor),
        architecture: this.text(adapter.architecture),
        device: this.text(adapter.device),
        driver: this.text(adapter.driver),
        kind: this.text(adapter.kind),
        runtime: this.text(adapter.runtime),
        features: this.list(adapter.features).map((f) => this.text(f)),
        limits: this.numbers(adapter.limits),
      },
      clock: clock && {
        kind: this.text(clock.kind),
        grid_ns: this.number(clock.grid_ns) ?? 0,
        sample_ms: this.number(clock.sample_ms) ?? 0,
      },
      limits: this.numbers(json.limits),
      limit_spread: this.numbers(json.limit_spread),
      kernels: this.rows(json.kernels, (row) => this.kernel(row)),
      model: this.rows(json.model, (row) => this.figure(row)),
      peers: this.rows(json.peers, (row) => this.peer(row)),
      notes: this.list(json.notes).map((note) => this.text(note)),
    };
  }

  private kernel(row: Record<string, unknown>): KernelRow | undefined {
    const ms = this.number(row.ms) ?? (row.error === undefined ? undefined : 0);
    if (ms === undefined || !this.text(row.op)) return undefined;
    const { number, text } = this;
    return defined<KernelRow>({
      op: text(row.op),
      m: number(row.m),
      k: number(row.k),
      n: number(row.n),
      shape: text(row.shape) || undefined,
      variant: text(row.variant),
      model: text(row.model) || undefined,
      part: text(row.part) || undefined,
      calls: number(row.calls),
      ms,
      spread: number(row.spread) ?? 0,
      relative: number(row.relative),
      relative_spread: number(row.relative_spread),
      moved: number(row.moved),
      gflops: number(row.gflops),
      gbps: number(row.gbps),
      share: number(row.share),
      bound: text(row.bound) || undefined,
      agrees: typeof row.agrees === 'boolean' ? row.agrees : undefined,
      error: text(row.error) || undefined,
    });
  }

  private figure(row: Record<string, unknown>): ModelRow | undefined {
    const value = this.number(row.value),
      figure = this.text(row.figure);
    if (value === undefined || !figure) return undefined;
    const { model, unit, spread } = row;
    return defined<ModelRow>({
      model: this.text(model),
      figure,
      value,
      unit: this.text(unit),
      spread: this.number(spread),
    });
  }

  private peer(row: Record<string, unknown>): PeerRow | undefined {
    const ms = this.number(row.ms),
      peer = this.text(row.peer);
    if (ms === undefined || !peer) return undefined;
    const { op, shape, spread, ratio } = row;
    return defined<PeerRow>({
      peer,
      op: this.text(op),
      shape: this.text(shape),
      ms,
      spread: this.number(spread) ?? 0,
      ratio: this.number(ratio),
    });
  }

  private rows<T>(value: unknown, read: (row: Record<string, unknown>) => T | undefined): T[] {
    return this.list(value)
      .filter(isObject)
      .map(read)
      .filter((row) => row !== undefined);
  }

  private list(value: unknown): unknown[] {
    if (!Array.isArray(value)) return [];
    if (value.length > most.rows) fail(this.place, `has a list of ${value.length} entries, over ${most.rows}`);
    return value;
  }

  private numbers(value: unknown): Record<string, number> {
    if (!isObject(value)) return {};
    const entries = Object.entries(value).slice(0, most.keys);
    return Object.fromEntries(
      entries.flatMap(([key, n]) => (this.number(n) === undefined ? [] : [[this.text(key), n as number]])),
    );
  }

  private number = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;

  /** Printable text: no control characters, which a terminal would obey. */
  private text = (value: unknown): string =>
    typeof value === 'string'
      ? [...value.slice(0, most.letters)].map((c) => (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(c) ? ' ' : c)).join('')
      : '';
}

/** Without the keys that have no value. */
const defined = <T extends object>(row: T): T =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as T;
