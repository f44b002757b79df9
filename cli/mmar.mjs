#!/usr/bin/env node
// The command `mmar`. The package holds its bundle; in a checkout, which has `setup.mjs`, that is made anew where a source
// is newer.
import fs from 'node:fs';

if (process.env.MMAR_DEBUG) process.setSourceMapsEnabled(true);
const setup = new URL('../setup.mjs', import.meta.url);
if (fs.existsSync(setup)) {
  const { bundle, installPackages } = await import(setup.href);
  installPackages();
  await bundle();
}
await import('../dist/cli/main.mjs');
