// mmar in Node: the public API, Node's platform, and its adapters.
import { Device } from './engine/device.ts';
import { nodeAdapter } from './platform/node_gpu.ts';

export { nodePlatform as platform } from './platform/node.ts';
export { closeGPU, type NodeAdapter, nodeAdapter, nodeAdapters } from './platform/node_gpu.ts';
export * from './public.ts';

export interface DeviceOptions {
  /** `hardware`, `swiftshader`, `lavapipe`, or a part of an adapter's name; the best there is unless given. */
  adapter?: string;
  /** Lowers the size at which tensors are split over buffers, for tests. */
  maxBinding?: number;
}

/** Opens a device, as in a browser. An `adapter` error names those that there are. To let Node exit: destroy it, then `closeGPU`. */
export async function openDevice({ adapter, maxBinding }: DeviceOptions = {}): Promise<Device> {
  return Device.open((await nodeAdapter(adapter)).adapter, { maxBinding });
}
