export { HostFailure, STACK_BYTES, TRAP_EXIT_CODE, WASI_MODULE, type Ending, type Finished, type Job, type Mount } from "./machine.ts";
export { prepareModule, runJob } from "./run.ts";
export { isEntryPath, type TreeEntry } from "./wasi/file-system.ts";
export type { World } from "./wasi/host.ts";
export { seededRandom } from "./random.ts";
export { ENGINE_VERSION } from "./version.ts";
export { BadState, STATE_FORMAT, readState, type State } from "./machine-state.ts";
export { STACK_MEMORY, STACK_MEMORY_PAGES, traceJob, type TraceOptions } from "./trace.ts";
