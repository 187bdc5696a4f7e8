/** What XAPI does with machines that run, by its own rules of states, hosts and drivers. */
import { Domain } from "./domain.ts";
import { Failure, type Records } from "./records.ts";
import { seedScript } from "./seed-script.ts";
import { NULL, diskAt, dropDisk, makeDisk, memoryPlaceOf, needState, needUnblocked, refs, tell, type Call, type World } from "./world.ts";

const seesStorage = (db: Records, host: string, sr: unknown): boolean =>
  db.all("pbd").some(([, pbd]) => pbd["host"] === host && pbd["SR"] === sr && pbd["currently_attached"] === true);

function hostFor({ db }: World, vm: string): string {
  const { VBDs, memory_static_max: need } = db.get(vm) as { VBDs: string[]; memory_static_max: number };
  const storages = VBDs.map((vbd) => db.get(String(db.get(vbd)["VDI"]))["SR"]);
  const found = db.all("host").find(([ref, host]) => {
    const { live, memory_free: free } = db.get(String(host["metrics"]));
    return host["enabled"] === true && live === true && Number(free) >= need && storages.every((sr) => seesStorage(db, ref, sr));
  });
  if (found === undefined) throw new Failure("NO_HOSTS_AVAILABLE");
  return found[0];
}

/** As XAPI counts what a machine could do: what it needs its own system for only where that has Xen's drivers. */
const allowedOf = (domain: Domain): string[] => [
  ...["pause", "hard_shutdown", "hard_reboot"],
  ...(domain.hasDrivers ? ["checkpoint", "suspend", "pool_migrate", "clean_shutdown"] : []),
];

export function dropMemory(world: World, vm: string): void {
  const vdi = String(world.db.get(vm)["suspend_VDI"] ?? NULL);
  world.db.set(vm, { suspend_VDI: NULL });
  if (world.db.has(vdi)) dropDisk(world, vdi);
}

export function halted(world: World, vm: string): void {
  const { db, domains } = world;
  domains.delete(vm);
  for (const ref of refs(db.get(vm), "consoles")) db.remove(ref);
  db.set(vm, { power_state: "Halted", resident_on: NULL, consoles: [], allowed_operations: ["start"] });
}

/** Paused for good, where that was asked for, and told by no message. */
function crashed(world: World, vm: string): void {
  if (world.db.get(vm)["actions_after_crash"] !== "preserve") return halted(world, vm);
  world.db.set(vm, { power_state: "Paused", allowed_operations: ["hard_shutdown", "hard_reboot"] });
}

function consolesOf(world: World, vm: string, host: string): string[] {
  const isPv = world.db.get(vm)["PV_bootloader"] !== "";
  return (isPv ? ["vt100", "rfb"] : ["rfb"]).map((protocol) => {
    const ref = world.db.add("console", { protocol, VM: vm, location: "" });
    world.db.set(ref, { location: `https://${world.addressOf(host)}/console?ref=${ref}` });
    return ref;
  });
}

function boot(world: World, vm: string, host: string): void {
  const { db, disks, domains } = world;
  const seed = diskAt(world, vm, "1");
  const script = seed === null ? "" : seedScript(disks.get(seed) ?? Buffer.alloc(0));
  const domain = new Domain(script, db.get(vm)["PV_bootloader"] !== "", ({ kind, archive }) => {
    if (!db.has(vm)) return;
    const result = diskAt(world, vm, "2");
    if (result !== null && archive) archive.copy(disks.get(result) ?? Buffer.alloc(0));
    if (kind === "crashed") crashed(world, vm);
    else halted(world, vm);
  });
  domains.set(vm, domain);
  const consoles = consolesOf(world, vm, host);
  db.set(vm, { power_state: "Running", resident_on: host, consoles, allowed_operations: allowedOf(domain) });
}

/** A machine that does not do as it is asked is ended. */
function needDrivers(world: World, vm: string): void {
  if (world.domains.get(vm)?.hasDrivers === true) return;
  end(world, vm);
  throw new Failure("VM_FAILED_SUSPEND_ACKNOWLEDGMENT", vm);
}

function end(world: World, vm: string): void {
  world.domains.get(vm)?.end("destroyed");
  halted(world, vm);
}

/** Its memory on a disk, which is made before it stops; it runs on afterwards by `wake`. */
export function sleep(world: World, vm: string, makeMemory: () => string): void {
  needDrivers(world, vm);
  const vdi = makeMemory();
  world.domains.get(vm)?.pause();
  world.db.set(vm, { power_state: "Suspended", suspend_VDI: vdi });
}

export function wake(world: World, vm: string, host = String(world.db.get(vm)["resident_on"])): void {
  dropMemory(world, vm);
  world.domains.get(vm)?.unpause();
  world.db.set(vm, { power_state: "Running", resident_on: host });
}

function resume(world: World, vm: string): void {
  needState(world.db, vm, "Suspended");
  // its system has its drives already: they must be where it had them
  const isWhole = refs(world.db.get(vm), "VBDs").every((ref) => {
    const { currently_attached: attached, device } = world.db.get(ref);
    return attached === true && device !== "";
  });
  if (!isWhole) throw new Failure("INTERNAL_ERROR", "the machine's drives are not those of its memory");
  if (world.domains.has(vm)) return wake(world, vm, hostFor(world, vm));
  const host = hostFor(world, vm);
  dropMemory(world, vm);
  boot(world, vm, host);
}

function shutDown(world: World, vm: string): void {
  needUnblocked(world, vm, "hard_shutdown");
  const { is_a_template: isTemplate, is_a_snapshot: isSnapshot, power_state: state } = world.db.get(vm, "vm");
  if (isTemplate === true && isSnapshot !== true) throw new Failure("VM_IS_TEMPLATE", vm, "hard_shutdown");
  if (state === "Halted") throw new Failure("VM_BAD_POWER_STATE", vm, "paused, suspended, running", "halted");
  if (state === "Suspended") dropMemory(world, vm);
  end(world, vm);
  tell(world, vm, "VM_SHUTDOWN");
}

export const power = (world: World): Record<string, Call> => ({
  "VM.start": (vm: string) => {
    needState(world.db, vm, "Halted");
    boot(world, vm, hostFor(world, vm));
    for (const ref of refs(world.db.get(vm), "VBDs"))
      world.db.set(ref, { currently_attached: true, device: `xvd${"abcd"[Number(world.db.get(ref)["userdevice"])]}` });
    tell(world, vm, "VM_STARTED");
  },
  "VM.suspend": (vm: string) => {
    needState(world.db, vm, "Running");
    sleep(world, vm, () =>
      makeDisk(world, { type: "suspend", name_label: "Suspend image", virtual_size: 1, SR: memoryPlaceOf(world, vm) }),
    );
    world.db.set(vm, { resident_on: NULL });
    tell(world, vm, "VM_SUSPENDED");
  },
  "VM.resume": (vm: string) => {
    resume(world, vm);
    tell(world, vm, "VM_RESUMED");
  },
  "VM.pause": (vm: string) => {
    needState(world.db, vm, "Running");
    world.domains.get(vm)?.pause();
    world.db.set(vm, { power_state: "Paused" });
    tell(world, vm, "VM_PAUSED");
  },
  "VM.unpause": (vm: string) => {
    needState(world.db, vm, "Paused");
    world.domains.get(vm)?.unpause();
    world.db.set(vm, { power_state: "Running" });
    tell(world, vm, "VM_UNPAUSED");
  },
  "VM.hard_shutdown": (vm: string) => shutDown(world, vm),
  "VM.hard_reboot": (vm: string) => {
    const host = String(needState(world.db, vm, "Running", "Paused")["resident_on"]);
    end(world, vm);
    boot(world, vm, host);
    tell(world, vm, "VM_REBOOTED");
  },
  "VM.pool_migrate": (vm: string, host: string) => {
    needState(world.db, vm, "Running");
    world.db.get(host, "host");
    if (!world.domains.has(vm)) throw new Failure("INTERNAL_ERROR", "its domain does not exist");
    needDrivers(world, vm);
    for (const ref of refs(world.db.get(vm), "consoles"))
      world.db.set(ref, { location: `https://${world.addressOf(host)}/console?ref=${ref}` });
    world.db.set(vm, { resident_on: host });
    world.domains.get(vm)?.cutOff();
    tell(world, vm, "VM_MIGRATED");
  },
});
