export { HostFailure, prepareModule, runJob, STACK_BYTES, TRAP_EXIT_CODE, WASI_MODULE, type Ending, type Finished, type Job, type Mount } from "./run.ts";
export { isEntryPath, type TreeEntry } from "./wasi/file-system.ts";
export type { World } from "./wasi/host.ts";
export { seededRandom } from "./random.ts";
export { ENGINE_VERSION } from "./version.ts";
