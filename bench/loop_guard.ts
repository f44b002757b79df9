/**
 * A shader of somebody's own, rewritten so that it ends whatever its loops do: each counts its turns, and leaves at a limit
 * that no honest kernel of the shape reaches, and says so in two words of memory at @group(1) @binding(0), the turns and the line.
 *
 * WGSL allows a barrier only where all invocations of a workgroup come together, so loops are of two kinds. One without a
 * barrier counts in a private variable that all of these share. One with a barrier counts in a variable of its function, of
 * which the compiler sees that it is the same in all invocations. A workgroup asks when it begins whether another was stuck:
 * else each of thousands would count to the limit.
 */
export function guardLoops(code: string, limit: number): string {
  const bare = withoutComments(code),
    functions = functionsOf(bare),
    waiting = thatWait(functions);
  const insertions = functions.flatMap((fn) => [
    { at: fn.from + 1, text: `${fn.name === 'main' ? leaving : ''} var loop_guard_waits = 0u;` },
    ...loopsOf(bare, fn).flatMap((loop) => {
      const line = code.slice(0, loop.start).split('\n').length,
        waits = calls(bare.slice(loop.start, loop.close)).some((called) => waiting.has(called));
      return guardOf(loop, line, waits, limit);
    }),
  ]);
  let guarded = code;
  for (const { at, text } of insertions.sort((a, b) => b.at - a.at))
    guarded = guarded.slice(0, at) + text + guarded.slice(at);
  return guarded + declarations;
}

/** Where a workgroup begins: it leaves at once where another was stuck. */
const leaving =
  ' loop_guard_seen = atomicLoad(&loop_guard[1]); if (workgroupUniformLoad(&loop_guard_seen) != 0u) { return; }';

interface Insertion {
  at: number;
  text: string;
}

/** What makes a loop count and end: a counter of its own before it, and a look at the counters where its body begins. */
function guardOf({ start, open, end }: Loop, line: number, waits: boolean, limit: number): Insertion[] {
  const own = `loop_guard_at_${start}`,
    stuck = waits ? `loop_guard_waits > ${Math.ceil(limit / 4)}u` : `loop_guard_turns > ${limit}u`,
    count = waits ? 'loop_guard_waits += 1u' : 'loop_guard_turns += 1u';
  return [
    { at: start, text: `var ${own} = 0u; ` },
    { at: open + 1, text: ` ${own} += 1u; ${count}; if (${stuck}) { loop_guard_tell(${own}, ${line}u); ${end} }` },
  ];
}

/** Of loops within loops, the one that took most turns since it was entered is the one that does not end. */
const declarations = `
@group(1) @binding(0) var<storage, read_write> loop_guard: array<atomic<u32>, 2>;
var<private> loop_guard_turns: u32;
var<workgroup> loop_guard_seen: u32;
fn loop_guard_tell(turns: u32, line: u32) {
  if (atomicMax(&loop_guard[0], turns) < turns) {
    atomicStore(&loop_guard[1], line);
  }
}
`;

interface Fn {
  name: string;
  /** Where its body's braces stand. */
  from: number;
  to: number;
  /** The type that it returns. */
  result: string;
  called: string[];
}

function functionsOf(bare: string): Fn[] {
  return [...bare.matchAll(/\bfn\s+(\w+)\s*\(/g)].map(({ index, 0: head, 1: name }) => {
    const parameters = closing(bare, index + head.length - 1),
      from = bare.indexOf('{', parameters),
      to = closing(bare, from);
    const result = bare
      .slice(parameters + 1, from)
      .replace('->', '')
      .trim();
    return { name, from, to, result, called: calls(bare.slice(from, to)) };
  });
}

interface Loop {
  /** Where its keyword stands, and the braces of its body. */
  start: number;
  open: number;
  close: number;
  /** The statement that leaves it. */
  end: string;
}

function loopsOf(bare: string, { from, to, result }: Fn): Loop[] {
  return [...bare.slice(from, to).matchAll(/\b(?:loop|for|while)\b/g)].map(({ index, 0: keyword }) => {
    const start = from + index,
      head = keyword === 'for' ? closing(bare, bare.indexOf('(', start)) : start,
      open = bare.indexOf('{', head),
      close = closing(bare, open),
      last = result && /^\s*\}$/.test(bare.slice(close + 1, to + 1)); // nothing follows it: such a loop may have no other end
    return { start, open, close, end: last ? `return ${result}();` : 'break;' };
  });
}

const calls = (bare: string): string[] => [...bare.matchAll(/\b(\w+)\s*\(/g)].map(([, name]) => name);

/** What waits for other invocations: WGSL's own functions that do, and functions that call such. */
function thatWait(functions: Fn[]): Set<string> {
  const waits = new Set(
    functions
      .flatMap(({ called }) => called)
      .filter((name) => /Barrier$|^workgroupUniformLoad$|^subgroup|^quad[A-Z]/.test(name)),
  );
  for (let before = -1; before < waits.size; ) {
    before = waits.size;
    for (const { name, called } of functions) if (called.some((other) => waits.has(other))) waits.add(name);
  }
  return waits;
}

/** Comments as spaces, so that all else stays in its place; those between stars nest. */
function withoutComments(code: string): string {
  let out = '',
    depth = 0,
    toLineEnd = false;
  for (let i = 0; i < code.length; i++) {
    const two = code.slice(i, i + 2);
    if (code[i] === '\n') toLineEnd = false;
    else if (!depth && two === '//') toLineEnd = true;
    const opens = !toLineEnd && two === '/*',
      closes = depth > 0 && two === '*/';
    if (opens) depth++;
    if (code[i] === '\n') out += '\n';
    else out += depth || toLineEnd ? (opens || closes ? '  ' : ' ') : code[i];
    if (closes) depth--;
    if (opens || closes) i++;
  }
  return out;
}

/** The place of the bracket that closes the one at `open`; the end where none does. */
function closing(bare: string, open: number): number {
  const [left, right] = bare[open] === '(' ? '()' : '{}';
  let depth = 0;
  for (let i = open; i >= 0 && i < bare.length; i++) {
    if (bare[i] === left) depth++;
    if (bare[i] === right && --depth === 0) return i;
  }
  return bare.length;
}
