// mmar in Node: the public API, Node's platform, and its adapters.
export * from './public.ts';
export { node_platform as platform } from './platform/node.ts';
export { type NodeAdapter, close_gpu, node_adapter, node_adapters } from './platform/node_gpu.ts';
