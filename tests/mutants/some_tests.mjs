// Stands in for uvu where a mistake is tried: only the tests run whose names `MMAR_ONLY` matches.
import * as uvu from 'uvu';

const only = new RegExp(process.env.MMAR_ONLY ?? '');

/** A suite, or the one that a file has anyway. */
function filtered(suite) {
  const add = (name, ...rest) => (only.test(name) ? suite(name, ...rest) : undefined);
  return Object.assign(add, suite, { skip: suite.skip, only: suite.only });
}

export const test = filtered(uvu.test);
export const suite = (...words) => filtered(uvu.suite(...words));
