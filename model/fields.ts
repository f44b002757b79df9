import { MMARError } from '../base/error.ts';

/** Reads the fields of a JSON object, naming the one that is wrong. */
export class Fields {
  private readonly values: Record<string, unknown>;

  constructor(
    json: unknown,
    private readonly place: string,
    private readonly path: string,
  ) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new MMARError(
        'checkpoint',
        `${place}: config.json: ${path ? `${path.slice(0, -1)} is` : 'the file is'} ${shown(json)}; want an object`,
      );
    }
    this.values = json as Record<string, unknown>;
  }

  has(key: string): boolean {
    return this.values[key] !== undefined && this.values[key] !== null;
  }

  value(key: string): unknown {
    return this.values[key];
  }

  keys(): string[] {
    return Object.keys(this.values);
  }

  want(holds: boolean, key: string, wanted: string): void {
    if (!holds)
      throw new MMARError(
        'checkpoint',
        `${this.place}: config.json: ${this.path}${key} is ${shown(this.values[key])}; want ${wanted}`,
      );
  }

  object(key: string): Fields {
    this.want(this.has(key), key, 'an object');
    return new Fields(this.values[key], this.place, `${this.path}${key}.`);
  }

  /** A whole number. */
  count(key: string, least = 1, most = 2 ** 31 - 1): number {
    const value = this.values[key];
    this.want(
      Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
      key,
      `a whole number from ${least} to ${most}`,
    );
    return value as number;
  }

  counts(key: string, mayBeEmpty = false): number[] {
    const value = this.values[key];
    const holds =
      Array.isArray(value) &&
      (mayBeEmpty || value.length > 0) &&
      value.length <= 16 &&
      value.every((n) => Number.isSafeInteger(n) && n > 0);
    this.want(holds, key, 'a list of whole numbers from 1 up');
    return value as number[];
  }

  positive(key: string): number {
    const value = this.values[key];
    this.want(typeof value === 'number' && value > 0 && Number.isFinite(value), key, 'a number over 0');
    return value as number;
  }

  flag(key: string): boolean {
    this.want(typeof this.values[key] === 'boolean', key, 'true or false');
    return this.values[key] as boolean;
  }

  text(key: string): string {
    this.want(typeof this.values[key] === 'string', key, 'a text');
    return this.values[key] as string;
  }

  oneOf<const T extends string>(key: string, choices: readonly T[]): T {
    this.want(choices.includes(this.values[key] as T), key, choices.map((c) => JSON.stringify(c)).join(' or '));
    return this.values[key] as T;
  }

  /** One of the choices, or a number. */
  oneOfOrNumber<const T extends string>(key: string, choices: readonly T[]): T | number {
    return Number.isFinite(this.values[key]) ? (this.values[key] as number) : this.oneOf(key, choices);
  }
}

const shown = (value: unknown): string =>
  value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value)).slice(0, 60);
