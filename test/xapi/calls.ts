/** The calls of XAPI that the driver makes, over the twin's database, with XAPI's own errors and rules: states, templates, clones, disks. */
import { seedScript } from "./seed-script.ts";
import { Domain } from "./domain.ts";
import { Failure, type ClassName, type Fields, type Records } from "./records.ts";

type Call = (...params: never[]) => unknown;
const NULL = "OpaqueRef:NULL";
const CLASS_NAMES: Record<string, ClassName> = {
  VM: "vm",
  VDI: "vdi",
  VBD: "vbd",
  SR: "sr",
  pool: "pool",
  host: "host",
  message: "message",
};

/** What the twin shares with the calls. */
export interface World {
  db: Records;
  /** Bytes of disks, by reference. */
  disks: Map<string, Buffer>;
  domains: Map<string, Domain>;
  /** Where a host's consoles are. */
  addressOf(host: string): string;
  /** A clone that is interrupted after this much of it; null: whole. */
  brokenClone: { after: "record" | "disk" } | null;
  port: number;
}

const config = (fields: Fields): Record<string, string> => fields["other_config"] as Record<string, string>;
const refs = (fields: Fields, key: string): string[] => fields[key] as string[];

function needState(db: Records, vm: string, ...states: string[]): Fields {
  const fields = db.get(vm, "vm");
  if (fields["is_a_template"] === true) throw new Failure("VM_IS_TEMPLATE", vm);
  const state = String(fields["power_state"]);
  if (!states.includes(state)) throw new Failure("VM_BAD_POWER_STATE", vm, states.join(" "), state);
  return fields;
}

const liveHosts = (db: Records): string[] =>
  db.all("host").flatMap(([ref, host]) => (host["enabled"] === true && db.get(String(host["metrics"]))["live"] === true ? [ref] : []));

function diskAt({ db }: World, vm: string, place: string): string | null {
  const vbd = refs(db.get(vm), "VBDs").find((ref) => db.get(ref)["userdevice"] === place);
  return vbd === undefined ? null : String(db.get(vbd)["VDI"]);
}

function halted(world: World, vm: string): void {
  const { db, domains } = world;
  domains.delete(vm);
  for (const ref of refs(db.get(vm), "consoles")) db.remove(ref);
  db.set(vm, { power_state: "Halted", resident_on: NULL, consoles: [], allowed_operations: ["start"] });
}

function boot(world: World, vm: string, host: string): void {
  const { db, disks, domains } = world;
  const isPv = db.get(vm)["PV_bootloader"] !== "";
  const seed = diskAt(world, vm, "1");
  const script = seed === null ? "" : seedScript(disks.get(seed) ?? Buffer.alloc(0));
  const consoles = (isPv ? ["vt100", "rfb"] : ["rfb"]).map((protocol) => {
    const ref = db.add("console", { protocol, VM: vm, location: "" });
    db.set(ref, { location: `https://${world.addressOf(host)}/console?ref=${ref}` });
    return ref;
  });
  const domain = new Domain(script, isPv, ({ kind, archive }) => {
    if (!db.has(vm)) return;
    const result = diskAt(world, vm, "2");
    if (result !== null && archive) archive.copy(disks.get(result) ?? Buffer.alloc(0));
    if (kind === "crashed") db.add("message", { name: "VM_CRASHED", obj_uuid: db.get(vm)["uuid"], cls: "VM" });
    halted(world, vm);
  });
  domains.set(vm, domain);
  db.set(vm, { power_state: "Running", resident_on: host, consoles, allowed_operations: ["pause", "hard_shutdown", "pool_migrate"] });
}

function end(world: World, vm: string): void {
  needState(world.db, vm, "Running", "Paused", "Suspended");
  world.domains.get(vm)?.end("destroyed");
  halted(world, vm);
}

function cloneDisk(world: World, vdi: string): string {
  const { db, disks } = world;
  const ref = db.add("vdi", { ...structuredClone(db.get(vdi)), uuid: crypto.randomUUID(), VBDs: [] });
  disks.set(ref, Buffer.from(disks.get(vdi) ?? Buffer.alloc(0)));
  return ref;
}

function attach(world: World, fields: Fields): string {
  const { db } = world;
  const [vm, vdi] = [String(fields["VM"]), String(fields["VDI"])];
  if (refs(db.get(vm, "vm"), "VBDs").some((ref) => db.get(ref)["userdevice"] === fields["userdevice"]))
    throw new Failure("DEVICE_ALREADY_EXISTS", String(fields["userdevice"]));
  const ref = db.add("vbd", { ...fields });
  db.set(vm, { VBDs: [...refs(db.get(vm), "VBDs"), ref] });
  db.set(vdi, { VBDs: [...refs(db.get(vdi, "vdi"), "VBDs"), ref] });
  return ref;
}

/** As XAPI: marks, tags and disks of the source, a template where that was one, and another identity. */
function clone(world: World, source: string, name: string, more: Fields): string {
  const { db, brokenClone } = world;
  const from = structuredClone(db.get(source, "vm"));
  const ref = db.add("vm", {
    ...{ ...from, uuid: crypto.randomUUID(), name_label: name, VBDs: [], consoles: [], resident_on: NULL, is_a_snapshot: false },
    ...more,
  });
  if (brokenClone?.after === "record") throw new Failure("INTERNAL_ERROR", "the master moved");
  for (const vbd of from["VBDs"] as string[]) {
    const fields = structuredClone(db.get(vbd));
    attach(world, { ...fields, uuid: crypto.randomUUID(), VM: ref, VDI: cloneDisk(world, String(fields["VDI"])) });
  }
  if (brokenClone?.after === "disk") throw new Failure("INTERNAL_ERROR", "the master moved");
  return ref;
}

function destroyVm(world: World, vm: string): void {
  const { db } = world;
  const fields = db.get(vm, "vm");
  if (["Running", "Paused"].includes(String(fields["power_state"])))
    throw new Failure("VM_BAD_POWER_STATE", vm, "Halted", String(fields["power_state"]));
  for (const vbd of refs(fields, "VBDs")) {
    const vdi = String(db.get(vbd)["VDI"]);
    if (db.has(vdi)) db.set(vdi, { VBDs: refs(db.get(vdi), "VBDs").filter((ref) => ref !== vbd) });
    db.remove(vbd);
  }
  db.remove(vm);
}

const lifecycle = (world: World): Record<string, Call> => ({
  "VM.start": (vm: string) => {
    needState(world.db, vm, "Halted");
    const need = Number(world.db.get(vm)["memory_static_max"]);
    const host = liveHosts(world.db).find((ref) => Number(world.db.get(String(world.db.get(ref)["metrics"]))["memory_free"]) >= need);
    if (host === undefined) throw new Failure("NO_HOSTS_AVAILABLE");
    boot(world, vm, host);
  },
  "VM.resume": (vm: string) => {
    needState(world.db, vm, "Suspended");
    boot(world, vm, liveHosts(world.db)[0]!);
  },
  "VM.pause": (vm: string) => {
    needState(world.db, vm, "Running");
    world.domains.get(vm)?.pause();
    world.db.set(vm, { power_state: "Paused" });
  },
  "VM.unpause": (vm: string) => {
    needState(world.db, vm, "Paused");
    world.domains.get(vm)?.unpause();
    world.db.set(vm, { power_state: "Running" });
  },
  "VM.hard_shutdown": (vm: string) => end(world, vm),
  "VM.hard_reboot": (vm: string) => {
    const host = String(needState(world.db, vm, "Running")["resident_on"]);
    end(world, vm);
    boot(world, vm, host);
  },
  "VM.pool_migrate": (vm: string, host: string) => {
    needState(world.db, vm, "Running");
    world.db.get(host, "host");
    for (const ref of refs(world.db.get(vm), "consoles"))
      world.db.set(ref, { location: `https://${world.addressOf(host)}/console?ref=${ref}` });
    world.db.set(vm, { resident_on: host });
    world.domains.get(vm)?.cutOff();
  },
});

const copies = (world: World): Record<string, Call> => ({
  "VM.create": (fields: Fields) =>
    world.db.add("vm", {
      ...{ power_state: "Halted", is_a_snapshot: false, is_control_domain: false, resident_on: NULL, consoles: [], VBDs: [] },
      ...{ allowed_operations: [], ...fields },
    }),
  "VM.clone": (source: string, name: string) => clone(world, source, name, {}),
  "VM.checkpoint": (vm: string, name: string) => {
    needState(world.db, vm, "Running", "Paused");
    return clone(world, vm, name, { is_a_snapshot: true, is_a_template: true, power_state: "Suspended" });
  },
  "VM.destroy": (vm: string) => destroyVm(world, vm),
  "VDI.create": (fields: Fields) => {
    world.db.get(String(fields["SR"]), "sr");
    const ref = world.db.add("vdi", { ...fields, VBDs: [], physical_utilisation: 0 });
    world.disks.set(ref, Buffer.alloc(Number(fields["virtual_size"])));
    return ref;
  },
  "VDI.resize": (vdi: string, bytes: number) => {
    const whole = Buffer.alloc(bytes);
    world.disks.get(vdi)?.copy(whole);
    world.disks.set(vdi, whole);
    world.db.set(vdi, { virtual_size: bytes });
  },
  "VDI.destroy": (vdi: string) => {
    if (refs(world.db.get(vdi, "vdi"), "VBDs").length > 0) throw new Failure("VDI_IN_USE", vdi, "destroy");
    world.disks.delete(vdi);
    world.db.remove(vdi);
  },
  "VBD.create": (fields: Fields) => attach(world, fields),
});

const fields = ({ db }: World): Record<string, Call> => ({
  "VM.add_to_other_config": (vm: string, key: string, value: string) => {
    if (Object.hasOwn(config(db.get(vm)), key)) throw new Failure("MAP_DUPLICATE_KEY", "VM", "other_config", vm, key);
    db.set(vm, { other_config: { ...config(db.get(vm)), [key]: value } });
  },
  "VM.remove_from_other_config": (vm: string, key: string) => {
    const { [key]: _, ...rest } = config(db.get(vm));
    db.set(vm, { other_config: rest });
  },
  "VM.add_tags": (vm: string, tag: string) => db.set(vm, { tags: [...refs(db.get(vm), "tags"), tag] }),
  "VM.set_memory_limits": (vm: string, min: number, max: number) => db.set(vm, { memory_static_min: min, memory_static_max: max }),
});

/** Getters and setters of fields, as XAPI makes them for each. */
function accessor(db: Records, method: string): Call | null {
  const [, name = "", what = ""] = /^(\w+)\.(\w+)$/.exec(method) ?? [];
  const known = CLASS_NAMES[name];
  if (known === undefined) return null;
  if (what === "get_all") return () => db.all(known).map(([ref]) => ref);
  if (what === "get_all_records") return () => Object.fromEntries(db.all(known));
  if (what === "get_record") return (ref: string) => db.get(ref, known);
  if (what.startsWith("get_")) return (ref: string) => db.get(ref, known)[what.slice(4)];
  if (what.startsWith("set_"))
    return (ref: string, value: unknown) => {
      db.get(ref, known);
      db.set(ref, { [what.slice(4)]: value });
    };
  return null;
}

export function callsOf(world: World): (method: string, params: readonly unknown[]) => unknown {
  const own: Record<string, Call> = { ...lifecycle(world), ...copies(world), ...fields(world) };
  return (method, params) => {
    const call = own[method] ?? accessor(world.db, method);
    if (!call) throw new Failure("MESSAGE_METHOD_UNKNOWN", method);
    const result = call(...(params as never[]));
    return result === undefined ? "" : structuredClone(result);
  };
}
