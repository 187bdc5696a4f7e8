export { GUEST_NODE_FLAGS, createSandbox, type Sandbox } from "./sandbox.ts";
export { WorkerPool, isAlive, type Exit, type Preload, type ProcessId, type TakenWorker } from "./pool.ts";
export { ModuleCache } from "./module-cache.ts";
export { Guest, adopt, followTaken, readGuestFile, type GuestEnd } from "./guest.ts";
export { preparedRuntime, pythonRuntime, type Runtime } from "./runtimes.ts";
export {
  WORKER_FILES,
  type SegmentJob,
  type TraceJob,
  type TreeManifestEntry,
  type WorkerJob,
  type WorkerMount,
  type WorkerResult,
} from "./worker/job.ts";
export { ENGINE_VERSION } from "@xenoservers/engine";
export { Machines } from "./qemu/machine/machines.ts";
export type { Machine } from "./qemu/machine/machine.ts";
export type { MachineEnd, MachineToken } from "./qemu/machine/machine-end.ts";
export { type MachineJob } from "./qemu/machine/layout.ts";
export { Templates } from "./qemu/snapshots/templates.ts";
export { type SnapshotSource } from "./qemu/snapshots/snapshot.ts";
export { ImageStore } from "./qemu/images/images.ts";
export { Refusal, type Fault } from "./qemu/refusal.ts";
export { QmpError } from "./qemu/machine/qmp.ts";
export { Control } from "./qemu/machine/control.ts";
export { Gate, MAIL_PORTS, type Connection } from "./qemu/network/gate.ts";
export { parseRanges, publicAddresses, type AddressRule } from "./qemu/network/addresses.ts";
export { findKernel } from "./qemu/images/stock.ts";
export { measureVmScore, openQemuHost, overheadMib, type HostState, type QemuHost } from "./qemu/machine/host.ts";
export { NANOSECONDS_PER_INSTRUCTION, VM_OVERHEAD_MIB } from "./qemu/machine/plan.ts";
