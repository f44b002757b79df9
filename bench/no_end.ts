import { MMARError } from '../base/error.ts';

/** Seconds that a shader has for its first run: one that takes longer has an endless loop. */
export const firstRunSeconds = 10;

/** What such a shader ends in, once whoever runs it has left its device behind: nothing else ends it. */
export const noEnd = (what: string): MMARError =>
  new MMARError(
    'device',
    `${what} did not end within ${firstRunSeconds} s: look for a loop without an end, or give a smaller shape`,
  );
