import type { Recorder } from '../engine/program.ts';
import type { ElementType, Tensor } from '../engine/tensor.ts';
import { checkShape, elementwise } from './common.ts';
import gatherRowsWgsl from './gather_rows.wgsl';
import { scatterRows } from './scatter_rows.ts';
import type { Sequences } from './sequences.ts';
import { zeros } from './zeros.ts';

/**
 * The embeddings of the next `count` tokens of some branches: row b × count + i is `table[ids[b, position[b] + i]]`.
 * @param tables [vocab, hidden], one below the other, each in any number of pieces
 * @returns [branches × count, hidden] of element type `type`
 */
export function embedTokens(p: Recorder, tables: Tensor[], seq: Sequences, count: number, type: ElementType): Tensor {
  const { ids, position, first = 0, branches } = seq,
    [{ cols }] = tables;
  checkShape(
    tables.every((t) => t.cols === cols),
    'embed_tokens',
    `tables [rows, ${cols}]`,
    ...tables,
  );
  const y = p.tensor('embed_tokens', type, [branches * count, cols]);
  let firstRow = 0;
  for (const table of tables) {
    gather(p, 'embed_tokens', table, ids, position, y, [count, ids.pitch, 0, first], firstRow);
    firstRow += table.rows;
  }
  return y;
}

/**
 * The rows `index` of x, once for each branch.
 * @param x [n, cols]
 * @param into [branches × m, cols]
 */
export function repeatRows(p: Recorder, x: Tensor, index: Tensor, branches: number, into: Tensor): void {
  checkShape(
    index.type === 'u32' && into.rows === branches * index.cols && into.cols === x.cols,
    'repeat_rows',
    `index u32[m], into [${branches} × m, ${x.cols}]`,
    x,
    index,
    into,
  );
  gather(p, 'repeat_rows', x, index, index, into, [index.cols, 0, 0, 0]);
}

/**
 * The rows `index` of each of `branches` equal blocks of x, one block after another.
 * @param x [branches × n, cols]
 * @param index u32[m], each under n
 * @returns [branches × m, cols]
 */
export function gatherRows(p: Recorder, x: Tensor, index: Tensor, branches = 1): Tensor {
  checkShape(
    index.type === 'u32' && index.rows === 1 && x.rows % branches === 0,
    'gather_rows',
    `x [${branches} × n, cols], index u32[m]`,
    x,
    index,
  );
  return gather(p, 'gather_rows', x, index, index, p.tensor('gather_rows', x.type, [branches * index.cols, x.cols]), [
    index.cols,
    0,
    x.rows / branches,
    0,
  ]);
}

function gather(
  p: Recorder,
  name: string,
  table: Tensor,
  index: Tensor,
  position: Tensor,
  y: Tensor,
  layout: number[],
  tableRow = 0,
): Tensor {
  const rowQuads = y.pitch / 4;
  for (const { part, firstRow } of table.parts()) {
    p.operation({
      name: 'gather_rows',
      label: name,
      source: gatherRowsWgsl,
      read: [part, index, position],
      write: [y],
      ...elementwise(p, y.rows * rowQuads, { w: table.type, y: y.type, weights: 'table' }, [
        rowQuads,
        table.pitch / 4,
        tableRow + firstRow,
        part.rows,
        ...layout,
      ]),
      inputs: firstRow ? [] : [table], // the whole table's gradient is one
      gradient: (dy) => {
        const tape = p.tape!,
          [batch, pitch, add, branch] = layout,
          dtable = tape.sink(table) ?? zeros(p, p.tensor(`${name} gradient`, table.type, table.shape));
        scatterRows(p, dy, { index, position, batch, pitch, add, branch }, dtable, tableRow);
        if (!tape.sink(table)) tape.give(table, dtable);
      },
    });
  }
  return y;
}
