import type { DriverState } from "../state.ts";

/** How WebAssembly jobs run here. */
export const wasmState = ({ strength, why }: { strength: "strong" | "weak"; why: string }): DriverState => ({
  ...{ name: "wasm", present: true, usesHostDisk: false },
  reason: strength === "strong" ? "" : `sandbox is weak: ${why}`,
});
