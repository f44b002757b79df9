// `npm run web [-- --port N]`: builds the page and serves it, with the carried checkpoint, on this machine alone.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildWeb } from '../esbuild.config.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.png': 'image/png',
  '.safetensors': 'application/octet-stream',
};

/** Folders by the path they are served under; the longest that fits is taken. */
const places = { '/': 'dist/browser', '/checkpoints/': 'checkpoints' };

/**
 * Serves the built page. `answer(request, response, file)` may answer in its place by returning true: tests use it.
 * @param {{ port?: number, more?: Record<string, string>, answer?: (request: http.IncomingMessage, response: http.ServerResponse, file: string) => boolean }} [options]
 * @returns {Promise<{ url: string, server: http.Server }>}
 */
export async function serve({ port = 0, more = {}, answer = () => false } = {}) {
  const folders = Object.entries({ ...places, ...more }).sort(([a], [b]) => b.length - a.length);
  const server = http.createServer((request, response) => {
    // Cross-origin isolated; only what is asked for from this machine by its own name is answered.
    response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
    response.setHeader('Cross-Origin-Embedder-Policy', 'require-corp');
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    response.setHeader('Cache-Control', 'no-cache');
    const refuse = (status) =>
      response.writeHead(status, { 'Content-Type': 'text/plain' }).end(`${status} ${http.STATUS_CODES[status]}\n`);
    if (!/^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(request.headers.host ?? '')) return refuse(403);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405);
    let name;
    try {
      name = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    } catch {
      return refuse(400);
    }
    if (name.endsWith('/')) name += 'index.html';
    const [prefix, folder] = folders.find(([prefix]) => name.startsWith(prefix));
    const base = path.resolve(root, folder),
      file = path.resolve(base, name.slice(prefix.length));
    if (name.includes('\0') || (file !== base && !file.startsWith(base + path.sep))) return refuse(403);
    if (answer(request, response, file)) return;
    send(request, response, file, refuse);
  });
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return { url: `http://localhost:${server.address().port}/`, server };
}

function send(request, response, file, refuse) {
  const stats = fs.statSync(file, { throwIfNoEntry: false });
  if (!stats?.isFile()) return refuse(404);
  const tag = `"${stats.size.toString(36)}-${Math.floor(stats.mtimeMs).toString(36)}"`;
  response.setHeader('ETag', tag);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Content-Type', types[path.extname(file)] ?? 'application/octet-stream');
  if (request.headers['if-none-match'] === tag) return response.writeHead(304).end();
  const range = parseRange(request.headers, stats.size, tag);
  if (range === 'wrong') return response.writeHead(416, { 'Content-Range': `bytes */${stats.size}` }).end();
  const [start, end] = range ?? [0, stats.size - 1];
  if (range) response.setHeader('Content-Range', `bytes ${start}-${end}/${stats.size}`);
  response.writeHead(range ? 206 : 200, { 'Content-Length': end - start + 1 });
  if (request.method === 'HEAD' || end < start) return response.end();
  const stream = fs.createReadStream(file, { start, end });
  stream.on('error', () => response.destroy());
  response.on('close', () => stream.destroy());
  stream.pipe(response);
}

/** The first and last byte of a single range; undefined for a whole file, `wrong` for one outside it. */
export function parseRange({ range, 'if-range': unless }, size, tag) {
  const found = /^bytes=(\d*)-(\d*)$/.exec(range ?? '');
  if (!found || (!found[1] && !found[2]) || (unless && unless !== tag)) return undefined;
  const start = found[1] ? Number(found[1]) : Math.max(0, size - Number(found[2]));
  const end = found[1] && found[2] ? Math.min(Number(found[2]), size - 1) : size - 1;
  return start > end || start >= size ? 'wrong' : [start, end];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = process.argv.indexOf('--port'),
    port = at < 0 ? 8080 : Number(process.argv[at + 1]);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    console.error(`mmar: --port is ${process.argv[at + 1]}; give a number from 0 to 65535`);
    process.exit(2);
  }
  await buildWeb('dist/browser');
  const { url } = await serve({ port }).catch((error) => {
    console.error(
      error.code === 'EADDRINUSE'
        ? `mmar: port ${port} is taken; give another with --port`
        : `mmar: the page cannot be served: ${error.message}`,
    );
    process.exit(1);
  });
  console.log(`mmar is at ${url}  (Ctrl+C ends it)`);
}
