/** The board of §6.8: 4 × 4 cells on [-√3, √3]², so unit variance an axis, those filled whose column and row are alike. */
export const board = { side: Math.sqrt(3), cell: Math.sqrt(3) / 2 } as const;

/** A quadrant of the board, which is a class: 0 to 3, to the right, then up; its two filled cells. */
export type Quadrant = 0 | 1 | 2 | 3;

/** The lower left corner and the cells an axis of a quadrant, or of the whole board. */
export function region(quadrant?: Quadrant): { corner: [x: number, y: number]; columns: number } {
  if (quadrant === undefined) return { corner: [-board.side, -board.side], columns: 4 };
  const [right, up] = [quadrant & 1, quadrant >> 1];
  return { corner: [(right - 1) * board.side, (up - 1) * board.side], columns: 2 };
}
