import type { Picture } from '../base/platform.ts';
import { board, type Quadrant } from '../shaders/chessboard.ts';
import { isOn } from './chessboard.ts';

/** The picture reaches so far from the middle, on each axis. */
const reach = 2.1;
const shades = { outside: [255, 255, 255], filled: [226, 232, 246], point: [43, 91, 189], wrong: [200, 30, 30] };

/**
 * Points over the board: the filled cells light blue, points on them blue, those off them red and larger.
 * @param points [n × 2]
 */
export function scatter(points: ArrayLike<number>, quadrant?: Quadrant, size = 320): Picture {
  const data = new Uint8ClampedArray(4 * size * size).fill(255);
  const paint = (x: number, y: number, colour: number[], opacity = 1) => {
    if (!(x >= 0 && y >= 0 && x < size && y < size)) return;
    const at = 4 * (y * size + x);
    for (let c = 0; c < 3; c++) data[at + c] += Math.round((colour[c] - data[at + c]) * opacity);
  };
  const place = (at: number) => Math.floor(((at + reach) / (2 * reach)) * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const at = [x, size - 1 - y].map((pixel) => ((pixel + 0.5) / size) * 2 * reach - reach);
      const within = at.every((a) => Math.abs(a) < board.side) && isOn(at, quadrant);
      paint(x, y, within ? shades.filled : shades.outside);
    }
  }
  for (let i = 0; 2 * i < points.length; i++) {
    const point = [points[2 * i], points[2 * i + 1]];
    const [x, y] = [place(point[0]), size - 1 - place(point[1])];
    if (isOn(point, quadrant)) paint(x, y, shades.point, 0.5);
    else for (const [right, down] of corners) paint(x + right, y + down, shades.wrong);
  }
  return { width: size, height: size, data };
}

const corners = [-1, 0, 1].flatMap((right) => [-1, 0, 1].map((down) => [right, down]));
