import { wgsl } from 'wgsl-preprocessor';
import { MMARError } from '../base/error.ts';

/** A shader as it is written; an imported `.wgsl` file is one. */
export interface ShaderSource {
  /** Where it stands, for compile errors. */
  file: string;
  text: string;
  /** What its `#include "NAME"` lines find. */
  includes?: Readonly<Record<string, ShaderSource>>;
}

export type Constants = Record<string, string | number | boolean>;

/** A line of a source; `line` counts from 1. */
export interface Place {
  file: string;
  line: number;
}

/** WGSL as a compiler takes it, and where each of its lines was written. */
export interface Expanded {
  code: string;
  places: Place[];
}

/** A line that cannot be expanded. */
export class SourceError extends MMARError {
  constructor(
    readonly place: Place,
    /** What is wrong, without the place. */
    readonly fault: string,
  ) {
    super('usage', `${place.file}:${place.line}: ${fault}`);
  }
}

interface Line extends Place {
  text: string;
}

/** A line as it was written: its text between constants' names, by turns. */
interface WrittenLine extends Place {
  parts: string[];
  directive: boolean;
}

/**
 * Expands a shader's source:
 * - `#include "NAME"` takes in another file, once;
 * - `#if ${name}`, `#elif ${name}`, `#else`, `#endif` choose lines (a constant that is not given counts as false);
 * - `${name}` is a constant's value;
 * - `#for i in N` … `#endfor` repeats lines with `#i` as 0, 1 … N-1 (`#iu` for a u32), or, with words in place of N, as each of
 *   these: WGSL has no way to ask for an unrolled loop, and compilers leave arrays indexed in a loop in slow memory;
 * - `enable NAME;` comes first, wherever it stands: WGSL wants it so, and a file that is taken in may need it.
 *
 * Throws a `SourceError` at what cannot be expanded.
 */
export function preprocess(source: ShaderSource, constants: Constants = {}): Expanded {
  const enables: Line[] = [],
    others: Line[] = [];
  for (const line of unroll(choose(linesOf(source), constants)))
    (/^\s*enable\b/.test(line.text) ? enables : others).push(line);
  const lines = [...enables, ...others];
  return {
    code: lines.map(({ text }) => `${text}\n`).join(''),
    places: lines.map(({ file, line }) => ({ file, line })),
  };
}

const fault = ({ file, line }: Place, message: string): SourceError => new SourceError({ file, line }, message);

const conditional = /^\s*#(if|elif|else|endif)\b/;

const written = new WeakMap<ShaderSource, WrittenLine[]>();

/** A source's lines with all that it takes in: read once, whatever constants it is expanded with. */
function linesOf(source: ShaderSource): WrittenLine[] {
  const known = written.get(source);
  if (known) return known;
  const lines = include(source, new Set());
  checkBranches(lines);
  const made = lines.map(
    ({ file, line, text }): WrittenLine => ({
      file,
      line,
      parts: text.split(/\$\{\s*(\w+)\s*\}/),
      directive: conditional.test(text),
    }),
  );
  written.set(source, made);
  return made;
}

function include(source: ShaderSource, seen: Set<string>): Line[] {
  const { file, text, includes = {} } = source;
  seen.add(file);
  return text.split('\n').flatMap((text, i): Line[] => {
    const at = { file, line: i + 1, text },
      name = /^#include "(.+)"\s*$/.exec(text)?.[1];
    if (name === undefined) return [at];
    const found = includes[name];
    if (!found)
      throw fault(at, `there is no ${name} to include; there are ${Object.keys(includes).join(', ') || 'none'}`);
    return seen.has(found.file) ? [] : include(found, seen);
  });
}

/** Sees that each `#if` and `#elif` has its constant, and each `#if` its `#endif`. */
function checkBranches(lines: Line[]): void {
  const open: { line: Line; last: boolean }[] = [];
  for (const line of lines) {
    const [, directive] = conditional.exec(line.text) ?? [];
    if (!directive) continue;
    if (/^(if|elif)$/.test(directive) && !/if\s+\$\{\s*\w+\s*\}/.test(line.text))
      throw fault(line, `want #${directive} \${CONSTANT}`);
    if (directive === 'if') {
      open.push({ line, last: false });
      continue;
    }
    const branch = open.at(-1);
    if (!branch) throw fault(line, `#${directive} without #if`);
    if (directive === 'endif') open.pop();
    else if (branch.last) throw fault(line, `#${directive} behind #else`);
    else branch.last = directive === 'else';
  }
  if (open.length) throw fault(open[0].line, '#if without #endif');
}

/** Lines that `#if` leaves, constants filled in. A mark before each line tells its place behind wgsl-preprocessor. */
function choose(lines: WrittenLine[], constants: Constants): Line[] {
  const strings = [''],
    values: unknown[] = [];
  lines.forEach((line, n) => {
    const { directive, parts } = line,
      [first] = parts;
    strings[strings.length - 1] += directive ? first.trimStart() : `\u0001${n}\u0002${first}`;
    for (let i = 1; i < parts.length; i += 2) {
      const [name, after] = parts.slice(i, i + 2);
      if (!(name in constants) && !directive) throw fault(line, `the constant ${name} is not given`);
      values.push(constants[name]);
      strings.push(directive ? after.trimEnd() : after);
    }
    strings[strings.length - 1] += '\n';
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the marks, which no source holds
  const marked = /\u0001(\d+)\u0002(.*)/g;
  return [...wgsl(strings, ...values).matchAll(marked)].map(([, n, text]) => {
    const { file, line } = lines[Number(n)];
    return { file, line, text };
  });
}

function unroll(lines: Line[]): Line[] {
  const out: Line[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    if (/^\s*#endfor\b/.test(line.text)) throw fault(line, '#endfor without #for');
    const loop = /^\s*#for\b(?: (\w) in ([\w ]+?)\s*$)?/.exec(line.text);
    if (!loop) {
      out.push(line);
      continue;
    }
    const [, name, list] = loop;
    if (!name) throw fault(line, 'want #for LETTER in NUMBER, or in words');
    const end = endOf(lines, i);
    const body = unroll(lines.slice(i + 1, end)),
      values = /^\d+$/.test(list) ? Array.from({ length: Number(list) }, (_, n) => String(n)) : list.split(' ');
    const mark = `#${name}`;
    for (const value of values)
      for (const { file, line, text } of body) out.push({ file, line, text: text.replaceAll(mark, value) });
    i = end;
  }
  return out;
}

/** The `#endfor` of the loop at line `start`. */
function endOf(lines: Line[], start: number): number {
  let depth = 0;
  for (let i = start; i < lines.length; i++) {
    if (/^\s*#for\b/.test(lines[i].text)) depth++;
    if (/^\s*#endfor\b/.test(lines[i].text)) depth--;
    if (!depth) return i;
  }
  throw fault(lines[start], '#for without #endfor');
}

const hashes = new WeakMap<ShaderSource, string>();

/** Tells sources apart, whatever object they come in: file, size and FNV-1a over all of the text. */
export function hashOf(source: ShaderSource): string {
  const known = hashes.get(source);
  if (known !== undefined) return known;
  const text = [source.text, ...Object.values(source.includes ?? {}).map(hashOf)].join('\n');
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619) >>> 0;
  const hash = `${source.file} ${text.length} ${h.toString(16).padStart(8, '0')}`;
  hashes.set(source, hash);
  return hash;
}
