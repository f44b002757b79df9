import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openCheckpoint } from '../../loaders/checkpoint.ts';
import { compose } from '../../loaders/compose.ts';
import { memorySource } from '../../loaders/memory_source.ts';
import { safetensorsBytes } from '../../loaders/safetensors.ts';

const tensor = (name: string, shape: number[], value: number) => ({
  name,
  dtype: 'F32' as const,
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
});
const model = () =>
  openCheckpoint(
    memorySource(
      'model',
      new Map([['model.safetensors', safetensorsBytes([tensor('a', [2], 1), tensor('b', [3], 2)])]]),
    ),
  );
const patch = (...tensors: ReturnType<typeof tensor>[]) => ({
  source: memorySource('here', new Map([['p.safetensors', safetensorsBytes(tensors)]])),
  file: 'p.safetensors',
});

test("a patch's tensors stand in place of the checkpoint's, the others stay", async () => {
  const patched = await compose(await model(), { patch: patch(tensor('b', [3], 7)) });
  const first = async (name: string) => {
    const bytes = new Uint8Array(4);
    await patched.read(name, 0, bytes);
    return new Float32Array(bytes.buffer)[0];
  };
  assert.equal([await first('a'), await first('b')], [1, 7]);
});

test("another model's patch is refused by name", async () => {
  const refused = async (...tensors: ReturnType<typeof tensor>[]) =>
    compose(await model(), { patch: patch(...tensors) }).then(
      () => '',
      (error: Error) => error.message,
    );
  assert.match(await refused(tensor('b', [4], 0)), /its b is \[4\], the model has \[3\]/);
  assert.match(await refused(tensor('c', [4], 0)), /its c is \[4\], the model has none/);
});

test.run();
