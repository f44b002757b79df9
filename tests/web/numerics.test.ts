// The numerics tab: curves drawn at once, the chessboard run, watched, stopped and run again; the same figures as in Node.
import * as assert from 'uvu/assert';
import { Device } from '../../engine/device.ts';
import { ChessboardRun } from '../../numerics/simulation.ts';
import { closeGPU, nodeAdapter } from '../../platform/node_gpu.ts';
import { adapterOf } from './browsers.ts';
import { inBrowsers } from './harness.ts';

await inBrowsers(
  'numerics',
  (test, browser) => {
    test('curves follow what is ticked', async (page) => {
      await page.open();
      await page.press('Numerics', 'tab');
      const lines = () => page.page.evaluate(() => document.querySelectorAll('#curves .line').length);
      const legend = (curves: number) => curves * 3 + curves;
      assert.is(await lines(), legend(6));
      await page.press('f16', 'checkbox');
      assert.is(await lines(), legend(9));
      await page.press('ψ', 'checkbox');
      assert.is(await lines(), legend(12));
      assert.match(await page.text('curves'), /Eq\. 27/);
      assert.equal(page.errors, []);
    });

    test('the chessboard runs, stops and runs again with the bits of Node', async (page) => {
      await page.open();
      await page.press('Numerics', 'tab');
      await page.fill('Points', 4_000_000); // minutes of work: Firefox hears presses late while it compiles shaders
      await page.fill('Time steps', 1000);
      await page.press('Run');
      await page.says('board-status', /Step \d+ of 2000/);
      await page.press('Stop the run');
      await page.says('board-status', /^Stopped/, 30);
      await page.fill('Points', 5000);
      await page.fill('Time steps', 20);
      await page.press('Run');
      const said = await page.says('board-status', /5000 points in .*off the cells/);
      const device = await Device.open((await nodeAdapter(adapterOf[browser])).adapter);
      const run = new ChessboardRun(device, 5000, { steps: 20, eta: 0, seed: 1 });
      const { drift } = await run.run('epsilon', 'bf16');
      await run.release();
      device.destroy();
      assert.ok(said.includes(`drift ${drift.toExponential(2)},`), `${said} want a drift of ${drift}`);
      const blue = await page.page.evaluate(() => {
        const canvas = document.getElementById('board') as HTMLCanvasElement;
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) if (data[i] < 150 && data[i + 2] > 180) count++;
        return count;
      });
      assert.ok(blue > 2000, `${blue} pixels have points`);
      assert.equal(page.errors, []);
    });
  },
  closeGPU,
);
