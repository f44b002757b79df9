// The probe of subgroup matrices: which of a device's it takes, and its source. Adapters that have them are told by a device of the
// test's own; what vendors' compilers make of it `npm run gpus` shows.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { subgroupMatrices, subgroupMatrixProbe } from '../../bench/subgroup_matrix.ts';
import { describeAdapter } from '../../engine/adapter.ts';
import { preprocess } from '../../engine/preprocessor.ts';
import { device } from '../gpu.ts';

/** A device of an adapter that tells these, with the feature or without. */
function deviceWith(feature: boolean, told: [component: string, result: string, m: number, n: number, k: number][]) {
  const subgroupMatrixConfigs = told.map(([componentType, resultComponentType, M, N, K]) => ({
    componentType,
    resultComponentType,
    M,
    N,
    K,
  }));
  const features = new Set(feature ? ['chromium-experimental-subgroup-matrix'] : []),
    adapter = { info: { subgroupMatrixConfigs }, features, limits: {} } as unknown as GPUAdapter;
  return {
    gpu: { features, adapterInfo: { subgroupMaxSize: 32 } } as unknown as GPUDevice,
    adapter: describeAdapter(adapter),
  };
}

test('a device without the feature has none', () => {
  assert.equal(subgroupMatrices(deviceWith(false, [['f16', 'f32', 16, 16, 16]])), []);
  assert.equal(subgroupMatrices(deviceWith(true, [])), []);
  if (device.software) assert.equal(subgroupMatrices(device), []);
});

test('those of whole numbers are left out', () => {
  const all = deviceWith(true, [
    ['u8', 'u32', 16, 16, 32],
    ['f16', 'f32', 8, 16, 4],
    ['f32', 'f32', 8, 8, 8],
  ]);
  assert.equal(subgroupMatrices(all), [
    { component: 'f16', result: 'f32', m: 8, n: 16, k: 4 },
    { component: 'f32', result: 'f32', m: 8, n: 8, k: 8 },
  ]);
});

test('matrices are as wide and high as they are multiplied, once for each sum and turn', () => {
  const { source, constants } = subgroupMatrixProbe(
    deviceWith(true, []),
    { component: 'f16', result: 'f32', m: 8, n: 16, k: 4 },
    2,
  );
  const { code } = preprocess(source, constants);
  for (const part of [
    /subgroup_matrix_left<f16, 4, 8>/,
    /subgroup_matrix_right<f16, 16, 4>/,
    /var c1 = subgroup_matrix_result<f32, 16, 8>/,
    /workgroup_size\(32\)/,
    /enable f16/,
  ])
    assert.match(code, part);
  assert.is(code.match(/subgroupMatrixMultiplyAccumulate/g)?.length, 8 * 2);
});

test.run();
