// Every golden case against the reference's expected output: f32 within 1e-4 and ids and codes the same, bf16 within 1.5
// times the reference's own error. A drawing's bf16 tokens, where one difference moves all that follow, are held to a
// drawing's own spread. Training's cases have a test of their own.
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

/** Figures that bf16 is held to where the file has none for it. */
const bf16Bounds: Record<string, number> = { generate: 1 };

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
            if (precision === 'f32') assert.equal([...Array.from(values)], [...Array.from(expect)], name);
            else assert.is(values.length > 0 && Array.from(values).every(Number.isInteger), true, name);
            continue;
          }
          const reference = tensors.get(`expect_bf16.${name}`);
          const error = relativeRms(values, expect);
          const own = reference ? 1.5 * relativeRms(reference.values, expect) : Infinity;
          const bound =
            precision === 'f32' ? 1e-4 : Math.min(bf16Bounds[metadata.part] ?? own, Math.max(own, 1e-9) * 40);
          assert.ok(error <= bound, `${name}: ${error}, over ${bound}`);
          if (process.env.MMAR_VERBOSE)
            console.log(
              `${folder} ${file} ${precision} ${name}: ${error.toExponential(2)}, 1.5 × the reference's ${own.toExponential(2)}`,
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
