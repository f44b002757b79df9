// One training step of each golden checkpoint against the independent reference: losses, every gradient, three steps of AdamW.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareTraining } from '../../cli/compare.ts';
import { readTensors } from '../../cli/files.ts';
import { loadMMAR } from '../../model/mmar.ts';
import { nodePlatform } from '../../platform/node.ts';
import { traceTrain } from '../../training/trace.ts';
import { device } from '../gpu.ts';

for (const folder of ['plain', 'untied-epsilon', 'vq', 'transfusion']) {
  for (const precision of ['f32', 'bf16'] as const) {
    test(`${folder} in ${precision}`, async () => {
      const path = `tests/golden/${folder}`,
        { tensors, metadata } = await readTensors(`${path}/cases/train.safetensors`),
        model = await loadMMAR(nodePlatform.source(path), { device, precision, learns: true });
      try {
        const outputs = await traceTrain(model, tensors, metadata),
          expected = [...tensors.keys()].filter((name) => name.startsWith('expect.')).map((name) => name.slice(7));
        assert.equal([...outputs.keys()].sort(), expected.sort());
        const found = compareTraining(outputs, tensors, { precision }, Number(metadata.bf16_grad_error));
        const wrong = Object.entries(found).filter(([, { passed }]) => !passed);
        assert.equal(
          wrong.map(([name, { against }]) => `${name}: ${against.expect.rms}`),
          [],
        );
      } finally {
        await model.close();
      }
    });
  }
}

test.run();
