// npm run fuzz [COUNT]: that many files and configs with a mistake in each, 10,000 unless given, in one process.
process.env.MMAR_MUTATIONS = process.argv[2] ?? '10000';
process.argv.splice(2, Infinity, 'loaders/fuzz');
await import('./run.mjs');
