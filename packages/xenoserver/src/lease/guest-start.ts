/** From a lease's record to its guest: which driver runs it, what it is given, and how it is found again. */
import type { Payload } from "@xenoservers/protocol";
import type { GuestToken, RunningGuest } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";
import type { VmJob } from "../drivers/qemu/vm-driver.ts";

type Order = Payload<"order">;
type PurchaseOrder = Payload<"purchase-order">;

function vmJobOf({ journal }: RunnerWorld, record: LeaseRecord, po: PurchaseOrder, order: Order): VmJob {
  const { spec, inputs } = record.vm!;
  return {
    ...{ lease: record.lease, customer: order.party, spec, inputs, memoryMib: po.resources.memoryMib, egressMibMax: po.egressMibMax },
    deterministic: order.assurance === "deterministic-vm",
    egressBytesUsed: record.lastClaim?.egressBytes ?? 0,
    fuelMax: BigInt(po.fuelMax),
    blobFile: (digest) => journal.blobFile(record.lease, digest),
  };
}

/** Reserves the guest; nothing runs before `begin`. Throws RefusedImage where the customer's bytes are at fault. */
export function prepareGuest(world: RunnerWorld, record: LeaseRecord, po: PurchaseOrder, order: Order) {
  const { driver, vms, journal } = world;
  if (record.vm) return vms!.prepare(vmJobOf(world, record, po, order));
  const { spec, inputs, segment } = record.job!;
  return driver.prepare({
    lease: record.lease,
    customer: order.party,
    spec,
    inputs,
    // a segment ends by itself, or where its job does
    fuelMax: BigInt(segment ? spec.fuelMax : po.fuelMax),
    checkpoints: segment && { kind: "segment", ...segment.segment, pieces: segment.pieces },
    runMsMax: Math.max(1, record.durationMsMax * 2),
    blobFile: (digest) => journal.blobFile(record.lease, digest),
  });
}

export function adoptGuest(world: RunnerWorld, record: LeaseRecord, po: PurchaseOrder, order: Order, token: GuestToken): Promise<RunningGuest> {
  return record.vm ? world.vms!.adopt(token, vmJobOf(world, record, po, order)) : world.driver.adopt(token);
}

/** What the guest ran on, as every manifest says. */
export const engineOf = ({ driver, vms }: Pick<RunnerWorld, "driver" | "vms">, record: Pick<LeaseRecord, "vm">): string =>
  record.vm ? (vms?.engine ?? "none") : driver.engine;
