/** Something that is done while a promise of the device's is open; resolves as `work` does. */
export type Meanwhile = <T>(device: GPUDevice, work: Promise<T>) => Promise<T>;

/** Has devices of `adapter` do something whenever one waits for their work, for a mapping or for a pipeline. */
export function whileWaiting(
  adapter: GPUAdapter,
  meanwhile: Meanwhile,
  wanted: (device: GPUDevice) => Promise<boolean> = async () => true,
): void {
  const request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await request(descriptor);
    if (!(await wanted(device))) return device;
    const create = device.createBuffer.bind(device);
    wrap(device.queue, 'onSubmittedWorkDone');
    wrap(device, 'createComputePipelineAsync');
    device.createBuffer = (buffer) =>
      buffer.usage & (GPUBufferUsage.MAP_READ | GPUBufferUsage.MAP_WRITE)
        ? wrap(create(buffer), 'mapAsync')
        : create(buffer);
    return device;

    function wrap<T extends object, K extends keyof T>(target: T, name: K): T {
      const work = (target[name] as (...args: unknown[]) => Promise<unknown>).bind(target);
      target[name] = ((...args: unknown[]) => meanwhile(device, work(...args))) as T[K];
      return target;
    }
  };
}
