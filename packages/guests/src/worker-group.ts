/**
 * The control group of a guest's process: made before the process, held to the lease's share before the process gets its job, removed with
 * the folder. It is found by the folder alone, so that nothing that a guest could write leads to it. Who controls the inputs: the customer,
 * within the lease.
 */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import path from "node:path";
import { removeCgroup, setShare, type Cgroup, type Limits, type Share } from "./cgroup.ts";
import { boundsOf, type BoundedJob } from "./worker/bounds.ts";

const MIB = 1024 * 1024;
/** Of a guest's user id, where it has one of its own: Node has about a dozen threads. */
export const THREADS_MAX = 64;
/** The programs that shut it in, which wait for it. */
const LAUNCHER_TASKS = 8;

const nameOf = (folder: string): string => `guest-${createHash("sha256").update(path.resolve(folder)).digest("hex").slice(0, 24)}`;

/** Weight alone holds its processor: what nobody else wants makes V8 compile sooner, and costs nobody. */
export const shareOf = (job: BoundedJob, vcpu: number): Share => ({
  ...{ vcpu, ceilingUs: null, tasksMax: THREADS_MAX + LAUNCHER_TASKS },
  memoryMib: Math.ceil(boundsOf(job).memoryBytesMax / MIB),
});

const NO_JOB: BoundedJob = { memoryMibMax: 0, diskMibMax: 0, outputMibMax: 0, breakpoints: null };
const WAITING = shareOf(NO_JOB, 1);

/** For a worker that waits; null where groups hold nothing here. */
export const createGroup = (limits: Limits, folder: string): Promise<Cgroup | null> => limits.create(nameOf(folder), WAITING);

/** Holds a worker that waited to its first job's share. */
export const holdGroup = (cgroup: Cgroup, job: BoundedJob, vcpu: number): Promise<void> => setShare(cgroup, shareOf(job, vcpu), WAITING);

export const groupOf = (limits: Limits, folder: string): Cgroup | null => limits.group(nameOf(folder));

/** Ends what still runs in a worker's group, and removes all that is left of it. Idempotent. */
export async function removeWorker(folder: string, cgroup: Cgroup | null): Promise<void> {
  if (cgroup !== null) await removeCgroup(cgroup);
  await rm(folder, { recursive: true, force: true });
}
