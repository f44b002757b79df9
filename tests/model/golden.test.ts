// Every golden case against the reference's expected output: f32 within 1e-4 and ids and codes the same, bf16 within 1.5
// times the reference's own error. Ids and codes have no bf16 reference: rounding may move a choice that is close, and with
// it all that follow, so most of them must be the f32 ones. Training's cases have a test of their own.
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTensors } from '../../cli/files.ts';
import { loadMMAR, type MMAR } from '../../model/mmar.ts';
import { trace } from '../../model/trace.ts';
import { nodePlatform } from '../../platform/node.ts';
import { device, relativeRms } from '../gpu.ts';

const root = process.env.MMAR_GOLDEN ?? 'tests/golden';
const only = process.env.MMAR_CASE ?? '';

/** The part of a case's ids or codes that are the same in bf16, at least. */
const sameInBF16 = 0.75;

for (const folder of ['plain', 'untied-epsilon', 'vq', 'transfusion']) {
  const cases = path.join(root, folder, 'cases');
  for (const precision of ['f32', 'bf16'] as const) {
    let model: MMAR | undefined;
    for (const file of fs.readdirSync(cases).filter((f) => f.includes(only) && !f.startsWith('train'))) {
      test(`${folder} ${file} ${precision}`, async () => {
        model ??= await loadMMAR(nodePlatform.source(path.join(root, folder)), { device, precision });
        const { tensors, metadata } = await readTensors(path.join(cases, file));
        const out = await trace(model, metadata.part, tensors, metadata);
        const wanted = [...tensors.keys()].filter((name) => name.startsWith('expect.')).map((name) => name.slice(7));
        assert.ok(wanted.length > 0);
        for (const name of wanted) {
          const { values, integers } = out.get(name)!;
          const expect = tensors.get(`expect.${name}`)!.values;
          if (integers) {
            assert.is(values.length, expect.length, name);
            const same = Array.from(expect).filter((id, i) => values[i] === id).length / expect.length;
            if (process.env.MMAR_VERBOSE) console.log(`${folder} ${file} ${precision} ${name}: ${same} are the same`);
            assert.ok(same >= (precision === 'f32' ? 1 : sameInBF16), `${name}: ${values}; want ${expect}`);
            continue;
          }
          const error = relativeRms(values, expect);
          const own = 1.5 * relativeRms(tensors.get(`expect_bf16.${name}`)!.values, expect);
          if (process.env.MMAR_VERBOSE)
            console.log(
              `${folder} ${file} ${precision} ${name}: ${error.toExponential(2)}, 1.5 × the reference's ${own.toExponential(2)}`,
            );
          const bound = precision === 'f32' ? 1e-4 : own;
          assert.ok(error <= bound, `${name}: ${error}, over ${bound}`);
        }
      });
    }
    test(`close ${folder} ${precision}`, async () => {
      await model?.close();
      model = undefined;
    });
  }
}

test.run();
