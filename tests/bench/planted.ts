import { measureShape } from '../../bench/kernels.ts';
import { makeYardstick } from '../../bench/probes.ts';
import { type Report, schema } from '../../bench/report.ts';
import { matmulShape } from '../../bench/shapes.ts';
import { Stopwatch } from '../../bench/stopwatch.ts';
import type { Device } from '../../engine/device.ts';

const columns = 2560,
  none = { name: 'this', vendor: '', architecture: '', device: '', driver: '', kind: '', runtime: '' };

/** Reports of one matrix product on a device, as it is or with `slower` times as many columns under the same name. */
export async function planted(device: Device) {
  const watch = await Stopwatch.open(device),
    { program: yardstick } = await makeYardstick(watch);

  async function run(slower: number): Promise<Report> {
    const shape = await matmulShape(device, [16, 512, 4 * Math.round((slower * columns) / 4)]),
      choice = { ...shape, candidates: shape.candidates.slice(0, 1) };
    const rows = await measureShape(watch, choice, { yardstick, samples: 16, budget_ms: 3000 }),
      kernels = rows.map((row) => ({ ...row, n: columns }));
    const adapter = { ...none, features: [], limits: {} },
      rest = { limits: {}, limit_spread: {}, model: [], peers: [], notes: [] };
    return { schema, date: '', version: '', adapter, kernels, ...rest };
  }

  return { watch, yardstick, run };
}
