// `node tests/large/soak.mjs`: builds and runs soak.ts. MMAR_ROUNDS: how many rounds; MMAR_ADAPTER: the adapter.
import { runBuilt } from './built.mjs';

await runBuilt('soak');
