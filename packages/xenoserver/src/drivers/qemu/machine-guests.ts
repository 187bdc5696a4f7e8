/** Virtual machines under the contract of all drivers. */
import { carriedMib } from "../room-to-carry.ts";
import { DRIVERS, invariant } from "@xenoservers/market";
import { MEMORY_TIMES_SENT_MAX } from "@xenoservers/guests";
import type { Crypto } from "@xenoservers/protocol";
import type { GuestDriver, GuestJob, GuestMoves } from "../driver.ts";
import type { MachineJob, Work } from "../work.ts";
import { machineProblem, neededForMachine } from "./machine-work.ts";
import { ArrivingMachine, stayingProblem } from "./vm-carry.ts";
import type { VmDriver } from "./vm-driver.ts";
import type { VmJob } from "./vm-job.ts";

function machineOf(work: Work): MachineJob {
  invariant(work.kind === "machine", "work of another kind was refused when it came");
  return work.vm;
}

function vmJobOf({ lease, po, order, work, fuelMax, egressBytesUsed, blobFile, signal, fetchMsMax, livedUntilMs }: GuestJob): VmJob {
  const { spec, inputs, forgets = false } = machineOf(work);
  return {
    forgets,
    ...{ lease, customer: order.party, spec, inputs, fuelMax, egressBytesUsed, blobFile },
    memoryMib: po.resources.memoryMib,
    egressMibMax: po.egressMibMax,
    deterministic: order.assurance === "deterministic-vm",
    ...(signal ? { signal } : {}),
    ...(fetchMsMax === undefined ? {} : { fetchMsMax }),
    ...(livedUntilMs === undefined ? {} : { livedUntilMs }),
  };
}

const movesOf = (vms: VmDriver): GuestMoves => ({
  problemWith: (work) => stayingProblem(machineOf(work).spec),
  // memory more than once, as it runs, and disk, beside the images that it was made of, which may be as large
  carriedMib: (work, { po }) => carriedMib(machineOf(work).spec, po.resources, { kept: MEMORY_TIMES_SENT_MAX, sent: 3 }),
  arrive: ({ lease }) => vms.arrive(lease),
  async prepare(job, arrived) {
    invariant(arrived instanceof ArrivingMachine, "what arrived was put where this driver said");
    return vms.restore(vmJobOf(job), arrived);
  },
  discard: (token) => vms.discard(token),
});

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** Machines run each in a box of its own; where there is none, no `VmDriver` is made. */
export function machineGuests(crypto: Crypto, vms: VmDriver): GuestDriver {
  const {
    assurances,
    can: { console, network, breakpoints },
  } = DRIVERS.qemu;
  return {
    name: "qemu",
    engine: vms.engine,
    sandbox: { strength: "strong", why: "" },
    capabilities: { console, network, breakpoints, snapshots: true, screens: vms.screens, runs: false, images: true, filesInMemory: false },
    assurances,
    holds: vms.holds,
    offered: () => ({ accel: vms.accel, vmScore: vms.score, limits: vms.limits, vmEngine: vms.engine }),
    problemWith: (work, ordered) =>
      work.kind === "machine" ? machineProblem(crypto, vms, ordered, work.vm) : "a machine was ordered, not a WebAssembly job",
    neededBlobs: (work, { order }) => neededForMachine(machineOf(work), order.party, vms),
    isSegment: () => false,
    prepare: (job) => vms.prepare(vmJobOf(job)),
    moves: movesOf(vms),
    adopt: (token, job) => vms.adopt(token, vmJobOf(job)),
    monotonicMs,
    makeRoom: () => vms.makeRoom(),
    close: () => vms.close(),
  };
}
