import type { DriverState } from "../state.ts";
import type { WasmDriver } from "./wasm-job.ts";

/** How WebAssembly jobs run here. */
export const wasmState = ({ strength, why, without }: WasmDriver["sandbox"]): DriverState => ({
  ...{ name: "wasm", present: true, usesHostDisk: false },
  reason: [strength === "strong" ? "" : `sandbox is weak: ${why}`, without].filter((each) => each !== "").join("; "),
});
