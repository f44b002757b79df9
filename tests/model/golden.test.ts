// Every golden case against the reference's expected output: f32 within 1e-4, bf16 within 1.5 times the reference's own.
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

if (!fs.existsSync(root)) {
  console.log(`skipped: no golden cases in ${root}; MMAR_GOLDEN names their folder`);
  test.skip();
}

for (const folder of fs.existsSync(root) ? ['plain', 'untied-epsilon'] : []) {
  const cases = path.join(root, folder, 'cases');
  for (const precision of ['f32', 'bf16'] as const) {
    let model: MMAR | undefined;
    for (const file of fs.readdirSync(cases).filter((f) => f.includes(only))) {
      test(`${folder} ${file} ${precision}`, async () => {
        model ??= await loadMMAR(nodePlatform.source(path.join(root, folder)), { device, precision });
        const { tensors, metadata } = await readTensors(path.join(cases, file));
        const out = await trace(model, metadata.part, tensors, metadata);
        for (const [name, { values, integers }] of out) {
          const expect = tensors.get(`expect.${name}`)!.values,
            reference = tensors.get(`expect_bf16.${name}`);
          if (integers && precision === 'f32') assert.equal([...Array.from(values)], [...Array.from(expect)], name);
          if (integers) continue;
          const error = relativeRms(values, expect),
            bf16 = reference ? relativeRms(reference.values, expect) : 0;
          if (precision === 'f32') assert.ok(error <= 1e-4, `${name}: ${error}`);
          else if (metadata.part !== 'generate')
            assert.ok(error <= 1.5 * bf16, `${name}: ${error}, the reference's own ${bf16}`);
          if (process.env.MMAR_VERBOSE)
            console.log(
              `${folder} ${file} ${precision} ${name}: ${error.toExponential(2)}, reference bf16 ${bf16.toExponential(2)}`,
            );
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
