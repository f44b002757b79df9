// The site as any static host serves it: a plain file server that knows no ranges and sets no headers, under a sub-path.
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import * as assert from 'uvu/assert';
import { inBrowsers } from './harness.ts';

const { buildSite } = (await import(path.resolve('web/site.mjs'))) as {
  buildSite: (folder: string) => Promise<number>;
};
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'mmar-site-'));
await buildSite(folder);

const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const missing: string[] = [];
const server = http.createServer((request, response) => {
  const name = /^\/some\/where\/([^?]*)/.exec(request.url ?? '')?.[1],
    file = path.join(folder, name || 'index.html');
  if (name === undefined || !fs.existsSync(file)) {
    missing.push(request.url ?? '');
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': types[path.extname(file)] ?? 'application/octet-stream' });
  fs.createReadStream(file).pipe(response);
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as { port: number };

await inBrowsers(
  'site',
  (test) =>
    test('draws a picture under a sub-path of a plain file server', async (page) => {
      await page.page.goto(`http://localhost:${port}/some/where/#prompt=red+apple&seed=1&iterations=2&steps=4`);
      await page.draw();
      await page.press('Benchmark', 'tab');
      await page.page.evaluate(() => ((document.getElementById('editor') as HTMLDetailsElement).open = true));
      await page.says('editor-status', /kernel’s own source/);
      assert.equal(page.errors, []);
      assert.equal(
        missing.filter(
          (url) => !/favicon|added_tokens|index\.json|special_tokens|chat_template|vocab|merges/.test(url),
        ),
        [],
      );
    }),
  () => {
    server.close();
    server.closeAllConnections();
    fs.rmSync(folder, { recursive: true, force: true });
  },
);
