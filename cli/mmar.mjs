#!/usr/bin/env node
// The command `mmar`: installs and bundles what is missing, then runs cli/main.ts.
import { pathToFileURL } from 'node:url';
import { bundle, installPackages } from '../setup.mjs';

if (process.env.MMAR_DEBUG) process.setSourceMapsEnabled(true);
installPackages({ dev: false });
await import(pathToFileURL(await bundle()).href);
