/** JSON of files that come from anywhere: what `JSON.parse` takes in silence and nobody means is refused. */
import { quote } from './header.ts';

/** More than any file of a checkpoint nests. */
const deepest = 64;

/** Parses a text. Throws `SyntaxError` for what is no JSON, for a key that an object has twice, and for deep nesting. */
export function parseJSON(text: string): unknown {
  const value = JSON.parse(text) as unknown;
  checkKeys(text);
  return value;
}

/** Walks over the strings and brackets of what is known to be JSON. */
function checkKeys(text: string): void {
  const open: (Set<string> | undefined)[] = []; // the keys of each object that is open; undefined for a list
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === '}' || character === ']') open.pop();
    else if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined);
      if (open.length > deepest) throw new SyntaxError(`it nests deeper than ${deepest}`);
    } else if (character === '"') {
      const end = endOfString(text, at),
        keys = open.at(-1);
      if (keys && isKey(text, end)) noteKey(keys, text.slice(at, end));
      at = end - 1;
    }
  }
}

/** The index after the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at);
    let slashes = 0;
    while (text[at - 1 - slashes] === '\\') slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (' \n\r\t'.includes(text[at])) at++;
  return text[at] === ':';
}

function noteKey(keys: Set<string>, literal: string): void {
  const key = literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  if (keys.has(key)) throw new SyntaxError(`it has the key ${quote(key)} twice`);
  keys.add(key);
}
