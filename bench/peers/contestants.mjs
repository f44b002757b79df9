// A matrix product y = x wᵀ in each library, on the page's WebGPU: `open` brings the library up, `product` puts operands on
// its device and returns what enqueues one product, what waits for all of them, and what reads y.
import { Device, gemm, packRows } from '../../engine.ts';
import { productModel } from './onnx.mjs';

/** @param {'bf16' | 'f32'} type of weights and activations */
const mmar = (type) => ({
  name: `mmar ${type}`,
  async open() {
    const device = await Device.open(await navigator.gpu.requestAdapter());
    return async ({ m, k, n, x, w }) => {
      const a = device.tensor('x', type, [m, k]),
        b = device.tensor('w', type, [n, k]),
        y = device.tensor('y', type, [m, n]);
      device.write(a, packRows(type, k, x));
      device.write(b, packRows(type, k, w));
      const program = await device.record('product', (p) => void gemm(p, { a, b, transposeB: true, into: y })),
        run = () => device.queue.run(program);
      return {
        run,
        done: () => device.queue.idle(),
        async read() {
          await run();
          return device.read(y);
        },
        release() {
          program.destroy();
          for (const tensor of [a, b, y]) device.release(tensor);
        },
      };
    };
  },
});

const onnxruntime = {
  name: 'onnxruntime-web',
  async open(folder) {
    const ort = await import('onnxruntime-web/webgpu');
    ort.env.wasm.wasmPaths = new URL('onnxruntime-web/dist/', folder).href;
    ort.env.wasm.numThreads = 1;
    return async ({ m, k, n, x, w }) => {
      const session = await ort.InferenceSession.create(productModel(m, k, n, transposed(w, n, k)), {
        executionProviders: ['webgpu'],
        preferredOutputLocation: 'gpu-buffer',
      });
      const device = await ort.env.webgpu.device,
        buffer = device.createBuffer({
          size: 4 * Math.ceil((m * k) / 4) * 4,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
        });
      device.queue.writeBuffer(buffer, 0, x);
      const input = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [m, k] });
      return {
        async run() {
          const { y } = await session.run({ x: input });
          y.dispose();
        },
        done: () => device.queue.onSubmittedWorkDone(),
        read: async () => (await session.run({ x: input })).y.getData(true),
        async release() {
          await session.release();
          buffer.destroy();
        },
      };
    };
  },
};

const tensorflow = {
  name: 'TensorFlow.js',
  async open() {
    const tf = await import('@tensorflow/tfjs-core');
    await import('@tensorflow/tfjs-backend-webgpu');
    await tf.setBackend('webgpu');
    await tf.ready();
    return async ({ m, k, n, x, w }) => {
      const a = tf.tensor2d(x, [m, k]),
        b = tf.tensor2d(w, [n, k]);
      return {
        run: () => tf.matMul(a, b, false, true).dispose(),
        done() {
          tf.backend().endComputePassEncoder();
          tf.backend().submitQueue();
          return tf.backend().queue.onSubmittedWorkDone();
        },
        async read() {
          const y = tf.matMul(a, b, false, true),
            values = await y.data();
          y.dispose();
          return values;
        },
        release: () => tf.dispose([a, b]),
      };
    };
  },
};

const jax = {
  name: 'jax-js',
  async open() {
    const { init, defaultDevice, numpy: np, jit, blockUntilReady, getWebGPUDevice } = await import('@jax-js/jax');
    await init('webgpu');
    defaultDevice('webgpu');
    return async ({ m, k, n, x, w }) => {
      const a = await blockUntilReady(np.array(x, { shape: [m, k] })),
        b = await blockUntilReady(np.array(w, { shape: [n, k] }));
      // An operation takes its operands' references with it: `ref` adds one.
      const product = jit((a, b) => np.matmul(a, b.transpose()));
      // Work is begun when a result is waited for, so none is let go before.
      let begun = [];
      return {
        run: () => begun.push(product(a.ref, b.ref)),
        async done() {
          for (const y of begun) (await y.blockUntilReady()).dispose();
          begun = [];
          await getWebGPUDevice().queue.onSubmittedWorkDone();
        },
        read: () => product(a.ref, b.ref).data(),
        release() {
          a.dispose();
          b.dispose();
        },
      };
    };
  },
};

/** W as [k, n]: how a graph of the exchange format has it. */
function transposed(w, n, k) {
  const turned = new Float32Array(n * k);
  for (let row = 0; row < n; row++)
    for (let column = 0; column < k; column++) turned[column * n + row] = w[row * k + column];
  return turned;
}

export const contestants = [mmar('bf16'), mmar('f32'), onnxruntime, tensorflow, jax];
