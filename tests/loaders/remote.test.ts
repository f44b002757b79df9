// Servers that do not keep their word: a range without Content-Range, another range, a file that changes while it is read.
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MMARError } from '../../base/error.ts';
import type { Source } from '../../base/platform.ts';
import { urlSource } from '../../loaders/url_source.ts';
import { blockBytes, blockSource } from '../../platform/block_source.ts';

const content = Uint8Array.from({ length: blockBytes + 100 }, (_, i) => (i * 7) % 251);

interface Manners {
  /** Answers a range without saying which. */
  hides?: boolean;
  /** Gives bytes from so much further on. */
  shift?: number;
  tag?: string;
}

/** Serves `content` under any name, with manners that can change from request to request. */
async function serve(use: (base: string, manners: Manners) => Promise<void>): Promise<void> {
  const manners: Manners = {};
  const server = http.createServer((request, response) => {
    const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!.map(Number),
      first = from + (manners.shift ?? 0),
      last = Math.min(to, content.length - 1);
    response.writeHead(206, {
      ...(manners.hides ? {} : { 'Content-Range': `bytes ${first}-${last}/${content.length}` }),
      ETag: manners.tag ?? '"1"',
    });
    response.end(content.subarray(first, last + 1));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, manners);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function refuses(step: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error: unknown = await step.then(
    () => 'taken',
    (cause: unknown) => cause,
  );
  assert.instance(error, MMARError);
  assert.is((error as MMARError).code, code);
  assert.match((error as MMARError).message, message);
}

const sources: Record<string, (base: string) => Source> = {
  'a URL': urlSource,
  'a URL by blocks': (base) => blockSource(base),
};
for (const [what, open] of Object.entries(sources)) {
  test(`${what}: bytes by place, over the end of a block`, () =>
    serve(async (base) => {
      const source = open(base),
        into = new Uint8Array(50);
      assert.is(await source.size('w'), content.length);
      await source.read('w', blockBytes - 20, into);
      assert.equal(into, content.slice(blockBytes - 20, blockBytes + 30));
    }));

  test(`${what}: a 206 without Content-Range`, () =>
    serve(async (base, manners) => {
      manners.hides = true;
      await refuses(open(base).size('w'), 'file', /the server hides its length \(Content-Range\)/);
    }));

  test(`${what}: another range than the one asked for`, () =>
    serve(async (base, manners) => {
      const source = open(base);
      await source.size('w');
      manners.shift = 1;
      await refuses(source.read('w', blockBytes, new Uint8Array(50)), 'file', /asked from byte \d+ on, .* gave bytes/);
    }));

  test(`${what}: an ETag that changes in the middle of a load, and the new file afterwards`, () =>
    serve(async (base, manners) => {
      const source = open(base),
        into = new Uint8Array(50);
      await source.size('w');
      await source.read('w', 0, into);
      manners.tag = '"2"';
      await refuses(source.read('w', blockBytes, into), 'checkpoint', /\/w changed on the server while it was loaded/);
      assert.is(await source.size('w'), content.length);
      await source.read('w', blockBytes, into);
      assert.equal(into, content.slice(blockBytes, blockBytes + 50));
    }));
}

test.run();
