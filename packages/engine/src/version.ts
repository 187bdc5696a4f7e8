/** Stands in every result manifest: results of different engine versions are not compared. */
export const ENGINE_VERSION = "xeno-wasm-10";
