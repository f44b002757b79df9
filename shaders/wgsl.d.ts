/** A shader file: give it the constants that its `#if ${…}` and `${…}` name, get WGSL (see esbuild.config.mjs). */
declare module '*.wgsl' {
  const source: (constants: Record<string, unknown>) => string;
  export default source;
}
