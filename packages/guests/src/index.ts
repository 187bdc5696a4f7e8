export { GUEST_NODE_FLAGS, createSandbox, type Sandbox } from "./sandbox.ts";
export { WorkerPool, isAlive, type Preload, type ProcessId, type TakenWorker } from "./pool.ts";
export { ModuleCache } from "./module-cache.ts";
export { Guest, adopt, followTaken, readGuestFile, type GuestEnd } from "./guest.ts";
export { preparedRuntime, pythonRuntime, type Runtime } from "./runtimes.ts";
export { WORKER_FILES, type SegmentJob, type TraceJob, type TreeManifestEntry, type WorkerJob, type WorkerMount, type WorkerResult } from "./worker/job.ts";
export { ENGINE_VERSION } from "@xenoservers/engine";
