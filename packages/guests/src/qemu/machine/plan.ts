/**
 * From a machine's specification to QEMU's command line. Pure: the plan is data, others act on it. Every path is one inside the box
 * (box.ts); nothing of the customer's text becomes an option: names are fixed, the kernel's command line is one argument. Who controls
 * the inputs: the customer (the specification), the owner (limits, acceleration).
 */
import type { VmSpec } from "@xenoservers/protocol";

export type Accel = "kvm" | "tcg";

export interface PlanInput {
  spec: VmSpec;
  accel: Accel;
  /** Inside the box, by what they are for; those absent are not used. */
  files: {
    kernel?: string;
    initrd?: string;
    iso?: string;
    /** Read-only base of the guest's own disk, below its overlay. */
    base?: { path: string; format: "qcow2" | "raw" };
    /** Layers of an OCI image, bottom first. */
    layers?: string[];
    firmwareCode?: string;
    seed?: string;
  };
  diskIopsMax: number;
  diskBytesPerSecondMax: number;
  /** Resumes from a state: memory file and state come from there. */
  restore: { memory: string } | "stream" | null;
  /** Memory in a file that becomes a snapshot. */
  sharedMemory: string | null;
  deterministic: boolean;
}

const OUT = { console: "/w/console.log", stdout: "/w/stdout", stderr: "/w/stderr" } as const;
export const VM_FILES = {
  qmp: "qmp.sock",
  console: "console.sock",
  agent: "agent.sock",
  job: "job.sock",
  stdin: "stdin.sock",
  tpm: "tpm.sock",
  screen: "screen.sock",
  migrate: "migrate.sock",
  consoleLog: "console.log",
  stdout: "stdout",
  stderr: "stderr",
  log: "qemu.log",
  disk: "disk.qcow2",
  vars: "vars.fd",
  memory: "memory",
  state: "state",
} as const;
const at = (name: string): string => `/w/${name}`;

/** How many of a customer's programs and copies a guest's own shell serves at once. */
export const SHELL_PORTS = 4;
export const shellPortName = (index: number): string => `xeno.shell${index}`;
export const shellSocket = (index: number): string => `shell${index}.sock`;
/** As QEMU's events name it. */
export const shellDevice = (index: number): string => `port-shell${index}`;

/** What QEMU needs beside the guest's memory: its own code and buffers, translated code where it emulates, and device memory. */
export const VM_OVERHEAD_MIB = { kvm: 64, tcg: 192 } as const;
const TRANSLATION_MIB = 96;
export const DETERMINISTIC_FLAGS = ["-icount", "shift=1,sleep=off", "-cpu", "qemu64,+rdrand"] as const;
/**
 * All that the emulation can, but for "string moves are fast": kernels and C libraries then copy memory by `rep movsb`, which is emulated
 * byte by byte (ADR 89).
 */
const EMULATED_CPU = "max,-erms,-fsrm";
/** One instruction takes 2^1 ns of the guest's clock. */
export const NANOSECONDS_PER_INSTRUCTION = 2n;

const MACHINE: Record<VmSpec["machine"], string> = {
  pc: "pc,hpet=off,usb=off,smbus=off,sata=off,vmport=off,dump-guest-core=off",
  q35: "q35,usb=off,vmport=off,dump-guest-core=off",
  microvm: "microvm,acpi=off,dump-guest-core=off",
};
/** BIOS text goes to the serial line too, so that boot loaders are seen on the console. */
const serialFirmware = ({ machine, devices }: VmSpec): string => (machine === "microvm" || devices === "emulated" ? "" : ",graphics=off");
const FORBIDDEN = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

type Json = { [key: string]: unknown };
const option = (name: string, value: Json): string[] => [name, JSON.stringify(value)];

/** A read-only file; its format is always stated, so that nothing of its content decides how it is read. */
const readOnly = (node: string, path: string, format: "qcow2" | "raw"): string[] =>
  option("-blockdev", {
    driver: format,
    "node-name": node,
    "read-only": true,
    ...(format === "qcow2" ? { backing: null } : {}),
    file: { driver: "file", filename: path, locking: "off" },
  });

/** The disk's format, and how fast it may be read and written: bursts of four seconds' worth. */
function throttled({ diskIopsMax, diskBytesPerSecondMax }: PlanInput): string[] {
  const limits = {
    "iops-total": diskIopsMax,
    "iops-total-max": diskIopsMax * 4,
    "bps-total": diskBytesPerSecondMax,
    "bps-total-max": diskBytesPerSecondMax * 4,
  };
  const file = { driver: "file", filename: at(VM_FILES.disk), discard: "unmap" };
  const overlay = { driver: "qcow2", "node-name": "overlay", backing: "base", discard: "unmap", "detect-zeroes": "unmap", file };
  return [
    ...option("-object", { "qom-type": "throttle-group", id: "limits", limits }),
    ...option("-blockdev", { driver: "throttle", "node-name": "disk", "throttle-group": "limits", file: overlay }),
  ];
}

function medium({ machine, devices }: VmSpec, iso: string): string[] {
  const emulated = devices === "emulated";
  return [
    ...readOnly("iso", iso, "raw"),
    ...option("-device", {
      driver: machine === "q35" || emulated ? "ide-cd" : "virtio-blk-pci",
      drive: "iso",
      id: "dev-iso",
      bootindex: 2,
      ...(machine === "q35" ? { bus: "ide.2" } : emulated ? { bus: "ide.1" } : {}),
    }),
  ];
}

/** A folder for cloud-init, shown as a file system of its own. */
function seedDisk({ machine, devices }: VmSpec, dir: string, driver: string): string[] {
  const file = { driver: "vvfat", dir, label: "CIDATA", floppy: false, rw: false };
  const device = { drive: "seed", id: "dev-seed", serial: "seed" };
  return [
    ...option("-blockdev", { driver: "raw", "node-name": "seed", "read-only": true, file }),
    ...option(
      "-device",
      devices === "emulated" ? { driver: "ide-hd", ...device, bus: machine === "q35" ? "ide.3" : "ide.1" } : { driver, ...device },
    ),
  ];
}

function disks(input: PlanInput): string[] {
  const { spec, files } = input;
  const args: string[] = [];
  const emulated = spec.devices === "emulated";
  const busOf = spec.machine === "microvm" ? "virtio-blk-device" : "virtio-blk-pci";
  const device = (node: string, serial: string, boot?: number): string[] =>
    option("-device", {
      driver: emulated ? "ide-hd" : busOf,
      drive: node,
      id: `dev-${serial}`,
      serial,
      ...(boot === undefined ? {} : { bootindex: boot }),
      ...(emulated ? { bus: `ide.${serial === "disk" ? 0 : 1}` } : {}),
    });
  files.layers?.forEach((path, i) => args.push(...readOnly(`layer${i}`, path, "raw"), ...device(`layer${i}`, `layer${i}`)));
  if (files.base) args.push(...readOnly("base", files.base.path, files.base.format), ...throttled(input), ...device("disk", "disk", 1));
  if (files.iso) args.push(...medium(spec, files.iso));
  if (files.seed) args.push(...seedDisk(spec, files.seed, busOf));
  return args;
}

const fileChardev = (id: string, path: string): string[] => ["-chardev", `file,id=${id},path=${path},append=on`];
const socketChardev = (id: string, name: string): string[] => ["-chardev", `socket,id=${id},path=${at(name)},server=on,wait=off`];

/** Ports by name on one virtio-serial device: the guest agent, its shell's, and of an OCI guest its job, its input and its output. */
function ports({ spec }: PlanInput): string[] {
  const bus = spec.machine === "microvm" ? "virtio-serial-device" : "virtio-serial-pci";
  const port = (name: string, chardev: string): string[] => [
    "-device",
    `virtserialport,bus=ports.0,chardev=${chardev},name=${name},id=port-${chardev}`,
  ];
  const args = [
    "-device",
    `${bus},id=ports,max_ports=16`,
    ...socketChardev("agent", VM_FILES.agent),
    ...port("org.qemu.guest_agent.0", "agent"),
  ];
  for (let i = 0; i < SHELL_PORTS; i++) args.push(...socketChardev(`shell${i}`, shellSocket(i)), ...port(shellPortName(i), `shell${i}`));
  if (spec.vm.kind !== "oci") return args;
  for (const name of ["job", "stdin"] as const) args.push(...socketChardev(name, VM_FILES[name]), ...port(`xeno.${name}`, name));
  for (const stream of ["stdout", "stderr"] as const) args.push(...fileChardev(stream, OUT[stream]), ...port(`xeno.${stream}`, stream));
  return args;
}

function network({ spec }: PlanInput): string[] {
  if (!spec.network) return ["-nic", "none"];
  const card = spec.devices === "emulated" ? "e1000" : spec.machine === "microvm" ? "virtio-net-device" : "virtio-net-pci";
  // slirp routes nothing out of an empty network namespace; what may leave is decided outside (network/)
  const restrict = spec.egress === "none" ? ",restrict=on" : "";
  return [
    "-netdev",
    `user,id=net,ipv6=off,net=10.0.2.0/24,dns=10.0.2.3${restrict}`,
    "-device",
    `${card},netdev=net,id=dev-net,mac=52:54:00:12:34:56${card.endsWith("-pci") || card === "e1000" ? ",romfile=" : ""}`,
  ];
}

/**
 * A screen is a socket in the box, never a port. Whoever reaches it is the lease's customer, by the channel: QEMU asks for no password.
 * Each viewer is one more: none ends another (RFC 6143, 7.3.1 would let it).
 */
function screen({ vm, screen: isWanted }: VmSpec): string[] {
  if (isWanted !== true) return ["-vga", vm.kind === "disk" ? "std" : "none"];
  const tablet = ["-device", "qemu-xhci,id=usb", "-device", "usb-tablet,bus=usb.0"];
  return ["-vga", "std", "-vnc", `unix:${at(VM_FILES.screen)},share=ignore,power-control=off`, ...tablet];
}

function memory({ spec, restore, sharedMemory }: Pick<PlanInput, "spec" | "restore" | "sharedMemory">): string[] {
  const size = spec.memoryMib * 1024 * 1024;
  const backend: Json =
    restore !== null && restore !== "stream"
      ? { "qom-type": "memory-backend-file", id: "ram", size, "mem-path": restore.memory, share: false, prealloc: false }
      : sharedMemory === null
        ? { "qom-type": "memory-backend-ram", id: "ram", size, prealloc: false }
        : { "qom-type": "memory-backend-file", id: "ram", size, "mem-path": sharedMemory, share: true, prealloc: false };
  return [...option("-object", backend), "-m", `${spec.memoryMib}M`];
}

/** A file that this kind of machine cannot be without. */
function needed(files: PlanInput["files"], name: "kernel" | "initrd" | "firmwareCode"): string {
  const file = files[name];
  if (file === undefined) throw new Error(`a machine was laid out without its ${name}`);
  return file;
}

/** A whole machine whose every instruction, clock and random number follows from its inputs (DESIGN section 4). */
function deterministicArgs({ spec, files, sharedMemory }: PlanInput): string[] {
  const { vm } = spec;
  if (vm.kind !== "kernel") throw new Error("a deterministic machine boots a kernel and a RAM disk, nothing else");
  return [
    ...["-machine", "pc,hpet=off,usb=off,smbus=off,sata=off,vmport=off,memory-backend=ram", "-accel", "tcg,thread=single,tb-size=256"],
    ...DETERMINISTIC_FLAGS,
    ...[
      "-smp",
      "1",
      "-rtc",
      `base=${new Date(spec.clockBaseMs).toISOString().slice(0, 19)},clock=vm`,
      "-seed",
      String(Number.parseInt(spec.seed.slice(0, 8), 16)),
    ],
    ...memory({ spec, sharedMemory, restore: null }),
    ...["-kernel", needed(files, "kernel"), ...(files.initrd ? ["-initrd", files.initrd] : []), "-append", vm.append],
    ...["-chardev", `file,id=console,path=${OUT.stdout}`, "-serial", "chardev:console", "-nic", "none", "-vga", "none"],
    ...["-device", "pvpanic"],
  ];
}

function machineArgs(input: PlanInput): string[] {
  const { spec, accel, files } = input;
  const { vm } = spec;
  const args = [
    ...[
      "-machine",
      `${MACHINE[spec.machine]}${serialFirmware(spec)},memory-backend=ram${spec.firmware === "uefi" ? ",pflash0=code,pflash1=vars" : ""}`,
    ],
    ...(accel === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", `tcg,tb-size=${TRANSLATION_MIB}`, "-cpu", EMULATED_CPU]),
    ...["-smp", `${spec.vcpu}`],
    ...memory(input),
  ];
  if (spec.firmware === "uefi")
    args.push(
      ...readOnly("code", needed(files, "firmwareCode"), "raw"),
      ...option("-blockdev", { driver: "raw", "node-name": "vars", file: { driver: "file", filename: at(VM_FILES.vars) } }),
    );
  if (vm.kind === "kernel")
    args.push("-kernel", needed(files, "kernel"), ...(files.initrd ? ["-initrd", files.initrd] : []), "-append", vm.append);
  if (vm.kind === "oci") {
    args.push("-kernel", needed(files, "kernel"), "-initrd", needed(files, "initrd"));
    args.push("-append", "console=ttyS0 quiet panic=-1 random.trust_cpu=on");
  }
  args.push(...disks(input), ...ports(input), ...network(input));
  args.push(
    "-chardev",
    `socket,id=console,path=${at(VM_FILES.console)},server=on,wait=off,logfile=${OUT.console},logappend=on`,
    "-serial",
    "chardev:console",
  );
  if (spec.machine !== "microvm") {
    args.push(...screen(spec), "-device", "pvpanic", "-device", "virtio-rng-pci,max-bytes=65536,period=1000");
    // another number in every machine that begins with a snapshot: kernels that know it renew their random pool (QEMU docs/specs/vmgenid)
    args.push("-device", "vmgenid,guid=auto");
  }
  if (spec.tpm)
    args.push(
      "-chardev",
      `socket,id=tpm,path=${at(VM_FILES.tpm)}`,
      "-tpmdev",
      "emulator,id=tpm0,chardev=tpm",
      "-device",
      "tpm-tis,tpmdev=tpm0",
    );
  // a guest arms it or does not; the last of all devices, so that no other has another place than in snapshots of earlier versions
  if (hasWatchdog(spec)) args.push("-device", "i6300esb");
  return args;
}

/** Guests of images run our own kernel, which has no driver for it; the smallest machine has no bus for it. */
const hasWatchdog = ({ machine, vm }: VmSpec): boolean => machine !== "microvm" && vm.kind !== "oci";

/** The arguments after the program's name. */
export function planVm(input: PlanInput): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-sandbox", FORBIDDEN, "-name", "guest,debug-threads=on"],
    ...["-qmp", `unix:${at(VM_FILES.qmp)},server=on,wait=off`],
    // how it stands, in its log (run-states.ts)
    ...["-trace", "enable=runstate_set"],
    ...(input.deterministic ? deterministicArgs(input) : machineArgs(input)),
    // an OCI guest's job is given once: started again, it would wait for one for ever
    ...[
      "-action",
      `reboot=${input.deterministic || input.spec.vm.kind === "oci" ? "shutdown" : "reset"},shutdown=pause,panic=pause,` +
        `watchdog=${input.deterministic ? "none" : "pause"}`,
    ],
    ...["-S", ...(input.restore === null ? [] : ["-incoming", "defer"])],
  ];
}
