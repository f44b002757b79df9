// mmar in Node: the public API, Node's platform, and its adapters.
import { Device } from './engine/device.ts';
import { node_adapter } from './platform/node_gpu.ts';

export * from './public.ts';
export { node_platform as platform } from './platform/node.ts';
export { type NodeAdapter, close_gpu, node_adapter, node_adapters } from './platform/node_gpu.ts';

export interface DeviceOptions {
  /** `hardware`, `swiftshader`, `lavapipe`, or a part of an adapter's name; the best there is unless given. */
  adapter?: string;
  /** Lowers the size at which tensors are split over buffers, for tests. */
  max_binding?: number;
}

/** Opens a device, as in a browser. An `adapter` error names those that there are. To let Node exit: destroy it, then `close_gpu`. */
export async function open_device({ adapter, max_binding }: DeviceOptions = {}): Promise<Device> {
  return Device.open((await node_adapter(adapter)).adapter, { max_binding });
}
