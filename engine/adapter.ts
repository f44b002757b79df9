/** What is known of an adapter: its own words, and what they mean for us. */
export interface AdapterDescription {
  vendor: string;
  architecture: string;
  device: string;
  driver: string;
  kind: 'hardware' | 'software';
  features: string[];
  limits: Record<string, number>;
}

/** Features that are asked for where an adapter has them. */
export const wantedFeatures = ['shader-f16', 'subgroups', 'subgroup-size-control', 'timestamp-query'] as const;

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

export function describeAdapter(adapter: GPUAdapter): AdapterDescription {
  const { vendor, architecture, device, description } = adapter.info;
  const software =
    adapter.info.isFallbackAdapter ||
    /swiftshader|llvmpipe|lavapipe|software|basic render/i.test([architecture, device, description].join(' '));
  return {
    vendor,
    architecture,
    device,
    driver: description,
    kind: software ? 'software' : 'hardware',
    features: [...adapter.features].sort(),
    limits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name] as number])),
  };
}
