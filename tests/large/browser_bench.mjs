import { runBuilt } from './built.mjs';

await runBuilt('browser_bench');
