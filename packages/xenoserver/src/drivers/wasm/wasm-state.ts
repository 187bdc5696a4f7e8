import type { DriverState } from "../state.ts";
import type { WasmDriver } from "./wasm-job.ts";

/** How WebAssembly jobs run here. */
export const wasmState = ({ strength, why, without, holds }: WasmDriver["sandbox"]): DriverState => ({
  ...{ name: "wasm", present: true, usesHostDisk: false, holds },
  reason: [strength === "strong" ? "" : `sandbox is weak: ${why}`, without].filter((each) => each !== "").join("; "),
});
