/** Programs for WebAssembly as registries keep them (CNCF's "Wasm OCI artifact"; images for wasi/wasm): they are no images of Linux. */

/** Of the type of a configuration or a layer. */
export const WASM_TYPE = /[/.+]wasm(?:[.+]|$)/;
/** How a platform ends that is no processor's: wasi/wasm, wasip1/wasm, linux/wasm. */
export const WASM_PLATFORM = "/wasm";

/** What it is that was named as an image, with the way out. */
export const asModule = (name: string): string =>
  `${name} is WebAssembly, not an image of Linux: fetch its module (oras pull, or unpack its layer) and run that (xeno run FILE.wasm)`;
