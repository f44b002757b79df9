/** A shader file as it is written (see esbuild.config.mjs). */
declare module '*.wgsl' {
  const source: import('../engine/preprocessor.ts').ShaderSource;
  export default source;
}

declare module 'wgsl-preprocessor' {
  /** Resolves `#if`, `#elif`, `#else`, `#endif`, each with a value behind it. */
  export function wgsl(strings: readonly string[], ...values: readonly unknown[]): string;
}
