import type { Command } from 'commander';
import { MMARError } from '../../base/error.ts';
import { nodeAdapters } from '../../platform/node_gpu.ts';
import { swiftshaderRemedy } from '../../platform/swiftshader.ts';
import { megabytes } from '../progress.ts';
import { quietNativeWarnings } from '../quiet.ts';

const examples = `
The first is the one that commands use unless --adapter names another: hardware, swiftshader, lavapipe, or a part of a
name below.

Examples:
  mmar adapters
  mmar adapters --json | jq -r '.[].name'`;

export function addAdapters(program: Command): void {
  program
    .command('adapters')
    .description('List what mmar can run on here.')
    .option('--json', 'print a JSON array')
    .addHelpText('after', examples)
    .action(adapters);
}

async function adapters({ json }: { json?: boolean }): Promise<void> {
  quietNativeWarnings();
  const found = (await nodeAdapters()).map(({ name, description }) => ({ name, ...description }));
  if (json) return console.log(JSON.stringify(found));
  if (!found.length)
    throw new MMARError('adapter', `no adapter is here: install a Vulkan driver${swiftshaderRemedy()}`);
  for (const { name, vendor, architecture, driver, kind, features, limits } of found) {
    const shown = Object.entries(limits).map(
      ([key, value]) => `${key} ${/Size$/.test(key) && !/Workgroup(s|Size)/.test(key) ? megabytes(value) : value}`,
    );
    console.log(
      [
        name,
        `  ${kind}; vendor ${vendor || 'unknown'}, architecture ${architecture || 'unknown'}`,
        `  driver: ${driver || 'unknown'}`,
        `  features: ${features.join(', ') || 'none'}`,
        `  limits: ${shown.join(', ')}`,
        '',
      ].join('\n'),
    );
  }
}
