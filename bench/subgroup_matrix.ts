import type { SubgroupMatrix } from '../engine/adapter.ts';
import type { Device } from '../engine/device.ts';
import type { Constants, ShaderSource } from '../engine/preprocessor.ts';
import subgroupMatrixWgsl from './probes/subgroup_matrix.wgsl';

/** Those of the device's subgroup matrices whose numbers have a fraction; none where the device may not use them. */
export function subgroupMatrices({ gpu, adapter }: Pick<Device, 'gpu' | 'adapter'>): SubgroupMatrix[] {
  const allowed = (gpu.features as ReadonlySet<string>).has('chromium-experimental-subgroup-matrix'),
    fractions = ['f16', 'f32'];
  return (allowed ? (adapter.subgroupMatrices ?? []) : []).filter(
    ({ component, result }) => fractions.includes(component) && fractions.includes(result),
  );
}

/** How the probe binds what it reads and writes. */
export const subgroupMatrixLayout = 'rww';

/** How often a subgroup multiplies, for each independent sum. */
export const subgroupMatrixRounds = 32 * 8;

/** The probe of a subgroup matrix, with so many independent sums a subgroup. */
export function subgroupMatrixProbe(
  { gpu }: Pick<Device, 'gpu'>,
  { component, result, m, n, k }: SubgroupMatrix,
  chains: number,
): { source: ShaderSource; constants: Constants } {
  const half = component === 'f16' || result === 'f16',
    threads = gpu.adapterInfo.subgroupMaxSize; // a workgroup's width must be a multiple of that
  const constants = { half, component, result, m, n, k, chains, threads, rounds: subgroupMatrixRounds / 8 };
  return { source: subgroupMatrixWgsl, constants };
}
