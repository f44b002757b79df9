// The schedules of the specification (sections 5 and 6), written from its text alone: what the model's own are tested by.

/** ᾱ of every time step: the cosine schedule, betas at most 0.999. */
export function alphasBar(timesteps: number): number[] {
  const cosine = (t: number) => Math.cos((((t / timesteps + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  const bars: number[] = [];
  for (let t = 1; t <= timesteps; t++) {
    const beta = Math.min(0.999, 1 - cosine(t) / cosine(t - 1));
    bars.push((bars.at(-1) ?? 1) * (1 - beta));
  }
  return bars;
}

/** n of the time steps, ends included, each rounded half to even. */
export function chosenTimes(timesteps: number, n: number): number[] {
  const times: number[] = [];
  for (let i = 0; i < n; i++) {
    const exact = n === 1 ? 0 : (i * (timesteps - 1)) / (n - 1);
    const below = Math.floor(exact);
    const half = exact - below === 0.5;
    times.push(half ? below + (below % 2) : Math.round(exact));
  }
  return times;
}

/** Hidden positions after each of K iterations. */
export function hiddenAfter(tokens: number, iterations: number): number[] {
  const hidden: number[] = [];
  for (let k = 1; k < iterations; k++) {
    const before = hidden.at(-1) ?? tokens;
    const cosine = Math.floor(tokens * Math.cos((Math.PI * k) / (2 * iterations)));
    hidden.push(Math.max(1, Math.min(cosine, before - 1)));
  }
  return [...hidden, 0];
}

/** ω after a step that leaves `known` of the tokens known. */
export function guidanceAt(cfg: number, schedule: 'constant' | 'linear', known: number, tokens: number): number {
  if (schedule === 'constant') return cfg;
  const share = known / tokens;
  return 1 - share + cfg * share;
}
