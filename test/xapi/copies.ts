/** What XAPI makes and copies: machines, templates, checkpoints, disks, with what its copies have of what they are copied of. */
import { sleep, dropMemory, wake } from "./power.ts";
import { Failure, type Fields } from "./records.ts";
import { NULL, cloneDisk, dropDisk, makeDisk, memoryPlaceOf, needState, needUnblocked, refs, type Call, type World } from "./world.ts";

function attach(world: World, fields: Fields): string {
  const { db, busy } = world;
  const [vm, vdi] = [String(fields["VM"]), String(fields["VDI"])];
  if (refs(db.get(vm, "vm"), "VBDs").some((ref) => db.get(ref)["userdevice"] === fields["userdevice"]))
    throw new Failure("DEVICE_ALREADY_EXISTS", String(fields["userdevice"]));
  if (busy.has(vdi)) throw new Failure("VDI_IN_USE", vdi, "attach");
  // only of what is suspended is anything attached before it runs
  const isSuspended = db.get(vm)["power_state"] === "Suspended";
  const ref = db.add("vbd", { ...fields, ...(isSuspended ? {} : { currently_attached: false, device: "" }) });
  db.set(vm, { VBDs: [...refs(db.get(vm), "VBDs"), ref] });
  db.set(vdi, { VBDs: [...refs(db.get(vdi, "vdi"), "VBDs"), ref] });
  return ref;
}

/** Disks first, then the record, then its drives: marks, tags and disks of the source, and another identity; no place for its memory. */
function copy(world: World, source: string, name: string, more: Fields): string {
  const { db, brokenClone } = world;
  const from = structuredClone(db.get(source, "vm"));
  const drives = refs(from, "VBDs").map((vbd) => {
    const fields = structuredClone(db.get(vbd));
    return { ...fields, uuid: crypto.randomUUID(), VDI: cloneDisk(world, String(fields["VDI"])) };
  });
  if (brokenClone?.after === "disks") throw new Failure("INTERNAL_ERROR", "the master moved");
  const memory = String(from["suspend_VDI"] ?? NULL);
  const ref = db.add("vm", {
    ...{ ...from, uuid: crypto.randomUUID(), name_label: name, VBDs: [], consoles: [], resident_on: NULL, is_a_snapshot: false },
    ...{ suspend_SR: NULL, allowed_operations: [], suspend_VDI: db.has(memory) ? cloneDisk(world, memory) : NULL },
    ...more,
  });
  if (brokenClone?.after === "record") throw new Failure("INTERNAL_ERROR", "the master moved");
  for (const drive of drives) attach(world, { ...drive, VM: ref });
  return ref;
}

function clone(world: World, source: string, name: string): string {
  const { is_a_snapshot: isSnapshot, power_state: state } = world.db.get(source, "vm");
  if (state !== "Halted" && isSnapshot !== true) throw new Failure("VM_BAD_POWER_STATE", source, "halted", String(state).toLowerCase());
  const ref = copy(world, source, name, {});
  // of a checkpoint too only the disks are cloned in the end
  dropMemory(world, ref);
  world.db.set(ref, { power_state: "Halted" });
  return ref;
}

/** The machine is suspended while it is copied, and stays so where that goes wrong with its resuming. */
function checkpoint(world: World, vm: string, name: string): string {
  const state = needState(world.db, vm, "Running", "Paused")["power_state"];
  const space = { type: "suspend", name_label: "Suspend image", other_config: {}, virtual_size: world.db.get(vm)["memory_static_max"] };
  if (state === "Running") sleep(world, vm, () => makeDisk(world, { ...space, SR: memoryPlaceOf(world, vm) }));
  const kept = { last_booted_record: "a record of its last boot", last_boot_CPU_flags: { vendor: "AuthenticAMD" } };
  const ref = copy(world, vm, name, { ...kept, is_a_snapshot: true, is_a_template: true, power_state: "Suspended" });
  if (state === "Running") wake(world, vm);
  return ref;
}

function create(world: World, fields: Fields): string {
  const { db } = world;
  // a whole number is no float to XAPI
  if (Number.isInteger(fields["HVM_shadow_multiplier"])) throw new Failure("FIELD_TYPE_ERROR", "HVM_shadow_multiplier");
  const isSuspended = fields["power_state"] === "Suspended";
  const { last_booted_record: record = "", last_boot_CPU_flags: flags = {}, suspend_VDI: memory = NULL } = fields;
  if (isSuspended && (record === "" || Object.keys(flags as object).length === 0 || !db.has(String(memory))))
    throw new Failure("VM_BAD_POWER_STATE", "the new machine", "halted", "suspended");
  return db.add("vm", {
    ...{ is_a_snapshot: false, is_control_domain: false, resident_on: NULL, consoles: [], VBDs: [], current_operations: {} },
    ...{
      HVM_shadow_multiplier: 1,
      allowed_operations: [],
      ...fields,
      power_state: isSuspended ? "Suspended" : "Halted",
      suspend_VDI: isSuspended ? memory : NULL,
    },
  });
}

function destroyVm(world: World, vm: string): void {
  const { db } = world;
  const fields = db.get(vm, "vm");
  needUnblocked(world, vm, "destroy");
  const state = String(fields["power_state"]);
  if (["Running", "Paused"].includes(state)) throw new Failure("VM_BAD_POWER_STATE", vm, "halted, suspended", state.toLowerCase());
  for (const vbd of refs(fields, "VBDs")) {
    const vdi = String(db.get(vbd)["VDI"]);
    if (db.has(vdi)) db.set(vdi, { VBDs: refs(db.get(vdi), "VBDs").filter((ref) => ref !== vbd) });
    db.remove(vbd);
  }
  for (const [vif] of db.all("vif").filter(([, card]) => card["VM"] === vm)) db.remove(vif);
  db.remove(vm);
}

function plug({ db }: World, fields: Fields): string {
  const [vm, mac] = [String(fields["VM"]), String(fields["MAC"])];
  db.get(vm, "vm");
  db.get(String(fields["network"]), "network");
  if (!/^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/.test(mac)) throw new Failure("MAC_INVALID", mac);
  if (db.all("vif").some(([, card]) => card["VM"] === vm && card["device"] === fields["device"]))
    throw new Failure("DEVICE_ALREADY_EXISTS", String(fields["device"]));
  return db.add("vif", { ...fields });
}

export const copies = (world: World): Record<string, Call> => ({
  "VM.create": (fields: Fields) => create(world, fields),
  "VM.clone": (source: string, name: string) => clone(world, source, name),
  "VM.checkpoint": (vm: string, name: string) => checkpoint(world, vm, name),
  "VM.destroy": (vm: string) => destroyVm(world, vm),
  "VDI.create": (fields: Fields) => makeDisk(world, fields),
  "VDI.clone": (vdi: string) => cloneDisk(world, vdi),
  "VDI.resize": (vdi: string, bytes: number) => {
    const whole = Buffer.alloc(bytes);
    world.disks.get(vdi)?.copy(whole);
    world.disks.set(vdi, whole);
    world.db.set(vdi, { virtual_size: bytes });
  },
  "VDI.destroy": (vdi: string) => dropDisk(world, vdi),
  "VBD.create": (fields: Fields) => attach(world, fields),
  "VIF.create": (fields: Fields) => plug(world, fields),
});
