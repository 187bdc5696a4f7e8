/** What the twin's calls share, and what they ask of its database. */
import type { Domain } from "./domain.ts";
import { Failure, type Fields, type Records } from "./records.ts";

export type Call = (...params: never[]) => unknown;
export const NULL = "OpaqueRef:NULL";
/** Storages round sizes up: VHD to this. */
const GRAIN_BYTES = 2 * 1024 * 1024;

export interface World {
  db: Records;
  /** Bytes of disks, by reference. */
  disks: Map<string, Buffer>;
  /** Disks that the pool writes or reads itself: nothing else can be done with them. */
  busy: Set<string>;
  domains: Map<string, Domain>;
  /** Where memory of machines goes that name no storage for it. */
  otherSr: string;
  /** Storages that have no room for another disk. */
  full: Set<string>;
  /** Where a host's consoles are. */
  addressOf(host: string): string;
  /** A clone that is interrupted after this much of it; null: whole. */
  brokenClone: { after: "disks" | "record" } | null;
}

export const refs = (fields: Fields, key: string): string[] => fields[key] as string[];

export function needState(db: Records, vm: string, ...states: string[]): Fields {
  const fields = db.get(vm, "vm");
  if (fields["is_a_snapshot"] === true) throw new Failure("VM_IS_SNAPSHOT", vm);
  if (fields["is_a_template"] === true) throw new Failure("VM_IS_TEMPLATE", vm);
  const state = String(fields["power_state"]);
  if (!states.includes(state)) throw new Failure("VM_BAD_POWER_STATE", vm, states.join(" "), state);
  return fields;
}

/** Of what the pool's people have protected. */
export function needUnblocked({ db }: World, vm: string, operation: string): void {
  const reason = (db.get(vm, "vm")["blocked_operations"] as Record<string, string> | undefined)?.[operation];
  if (reason !== undefined) throw new Failure("OPERATION_BLOCKED", vm, reason);
}

export function diskAt({ db }: World, vm: string, place: string): string | null {
  const vbd = refs(db.get(vm), "VBDs").find((ref) => db.get(ref)["userdevice"] === place);
  return vbd === undefined ? null : String(db.get(vbd)["VDI"]);
}

export function makeDisk({ db, disks, full }: World, fields: Fields): string {
  const sr = String(fields["SR"]);
  db.get(sr, "sr");
  if (full.has(sr)) throw new Failure("SR_BACKEND_FAILURE_44", "", "There is insufficient space", "");
  const bytes = Math.ceil(Number(fields["virtual_size"]) / GRAIN_BYTES) * GRAIN_BYTES;
  const ref = db.add("vdi", { VBDs: [], physical_utilisation: 0, ...fields, virtual_size: bytes });
  disks.set(ref, Buffer.alloc(bytes));
  return ref;
}

export function dropDisk({ db, disks, busy }: World, vdi: string): void {
  if (refs(db.get(vdi, "vdi"), "VBDs").length > 0 || busy.has(vdi)) throw new Failure("VDI_IN_USE", vdi, "destroy");
  disks.delete(vdi);
  db.remove(vdi);
}

export function cloneDisk(world: World, vdi: string): string {
  const { db, disks, busy } = world;
  if (busy.has(vdi)) throw new Failure("VDI_IN_USE", vdi, "clone");
  const ref = makeDisk(world, { ...structuredClone(db.get(vdi, "vdi")), uuid: crypto.randomUUID(), VBDs: [] });
  disks.set(ref, Buffer.from(disks.get(vdi) ?? Buffer.alloc(0)));
  return ref;
}

/** Where XAPI looks first, and where it looks then. */
export const memoryPlaceOf = ({ db, otherSr }: World, vm: string): string => {
  const own = String(db.get(vm)["suspend_SR"] ?? NULL);
  return db.has(own) ? own : otherSr;
};

let seconds = 0;
/** XAPI tells of what it was asked for; of what a machine does by itself it tells nothing. */
export function tell({ db }: World, vm: string, name: string): void {
  const at = new Date(Date.UTC(2026, 0, 1) + ++seconds * 1_000);
  const timestamp = at.toISOString().replace(/[-]|\.\d+/g, "");
  db.add("message", { name, cls: "VM", obj_uuid: db.get(vm)["uuid"], timestamp });
}
