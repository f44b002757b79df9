/** What is known of an adapter: its own words, and what they mean for us. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  driver: string;
  kind: 'hardware' | 'software';
  features: string[];
  limits: Record<string, number>;
  /** Where it has them and what is experimental is allowed. */
  subgroupMatrices?: SubgroupMatrix[];
}

/** A matrix product that subgroups do as one operation, [m, k] × [k, n] onto [m, n], and the types of its numbers. */
export interface SubgroupMatrix {
  component: string;
  result: string;
  m: number;
  n: number;
  k: number;
}

/** Features that are asked for where an adapter has them. */
export const wantedFeatures = [
  'shader-f16',
  'subgroups',
  'subgroup-size-control',
  'timestamp-query',
  'chromium-experimental-subgroup-matrix', // only where the user, or `nodeAdapter`, has allowed what is experimental
] as const;

const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupsPerDimension',
] as const;

/** Cores of the processor: as the platform has noted at the adapter, or as a browser tells. */
export const coresOf = (adapter: GPUAdapter & { cores?: number }): number =>
  adapter.cores ?? globalThis.navigator?.hardwareConcurrency ?? 1;

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  const software =
    adapter.info.isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|software|basic render/i.test([architecture, device, description].join(' '));
  const subgroupMatrices = subgroupMatricesOf(adapter.info);
  return {
    vendor,
    architecture,
    device,
    driver: description,
    kind: software ? 'software' : 'hardware',
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name] as number])),
    ...(subgroupMatrices.length ? { subgroupMatrices } : {}),
  };
}

/** As Dawn and Chromium tell them, of the adapter alone; WebGPU's types do not know them yet. */
type Told = { componentType: string; resultComponentType: string; M: number; N: number; K: number };

function subgroupMatricesOf(info: GPUAdapterInfo): SubgroupMatrix[] {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<Told> };
  return Array.from(subgroupMatrixConfigs, ({ componentType: component, resultComponentType: result, M, N, K }) => ({
    component,
    result,
    m: M,
    n: N,
    k: K,
  }));
}
