// `node tests/large/planted.mjs`: builds and runs planted.ts. MMAR_ROUNDS: how many rounds; MMAR_ADAPTER: the adapter.
import { runBuilt } from './built.mjs';

await runBuilt('planted');
