/**
 * From what a domain is to be to the text of its xl.cfg(5). Pure. One rule keeps what a customer wrote from becoming a setting: every value
 * is a number, or a string in double quotes whose quotes and backslashes are escaped and which holds no control character. Escapes by
 * number are not used: xl 4.17 refuses `\x22` and leaves `\042` out without a word. Who controls the inputs: the customer (the command
 * line; sizes within the lease), the owner (paths, the kind of domain).
 */
import type { Overlay } from "./disk-overlay.ts";
import { cardSetting, type CardRules } from "./domain-card.ts";
import type { ConfiguredDisk, DiskFile } from "./domain-disk.ts";
import { emulationSettings, type Emulation } from "./emulated-config.ts";

/** How a domain meets the hypervisor: with hardware's page tables and no emulated devices, or by Xen's own calls alone. */
export const DOMAIN_KINDS = ["pvh", "pv"] as const;
export type DomainKind = (typeof DOMAIN_KINDS)[number];

export interface DomainPlan {
  /** HVM: with a BIOS and emulated hardware, which `emulation` says. */
  kind: DomainKind | "hvm";
  /** Both are made of the lease's id, by `domainName` and `domainUuid`. */
  name: string;
  uuid: string;
  /** Null where its BIOS finds one. */
  kernel: string | null;
  ramdisk: string | null;
  commandLine: string;
  emulation?: Emulation;
  memoryMib: number;
  vcpu: number;
  /** The file of its first disk. */
  disk: string | null;
  /** What that is written over, if it is. */
  over?: Overlay;
  /** Those after it, in their order. */
  beside?: readonly DiskFile[];
  /** Its network card, where it has one. */
  card?: CardRules;
}

/** All of them, by their places. */
export const disksOf = ({ disk, over, beside = [] }: Pick<DomainPlan, "disk" | "over" | "beside">): DiskFile[] => [
  ...(disk === null ? [] : [{ file: disk, isWritable: true, ...(over ? { over } : {}) }]),
  ...beside,
];

/** Credit2's usual weight, for each vCPU: shares of the processor are as the vCPUs that were sold. */
const WEIGHT_PER_VCPU = 256;
/** In hundredths of one processor: no more than was sold, also where others are idle. */
const CAP_PER_VCPU = 100;
/** As many as hypervisors allow where nothing else is said to them: rings of one console, disk and network card take a fraction. */
const GRANT_FRAMES_MAX = 64;
const EVENT_CHANNELS_MAX = 255;
/** A Linux takes about nine for each: its timer, its inter-processor interrupts, its queue of a disk. */
const EVENT_CHANNELS_PER_VCPU = 16;

const eventChannels = (vcpu: number): number => EVENT_CHANNELS_MAX + EVENT_CHANNELS_PER_VCPU * (vcpu - 1);

/** A value as xl reads it. Throws where no string of xl's can hold it. */
export function quoted(text: string): string {
  if (/\p{Cc}/u.test(text)) throw new Error("a domain's settings hold no control characters");
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

const written = (value: string | number | readonly string[]): string | number =>
  typeof value === "object" ? `[${value.map(quoted).join(",")}]` : typeof value === "number" ? value : quoted(value);

/** What happens where the domain ends by itself: it stays as it is until its end was read. */
const KEPT = ["on_poweroff", "on_reboot", "on_crash", "on_watchdog", "on_soft_reset"] as const;

const FIRST_PLACE = 0x61; // a

/**
 * In place of the distribution's block script, which asks whether another domain has the device, by some twenty processes for each disk
 * that any has, one disk after the other, and which libxl ends after 40 s. Ours are loop devices that were made a moment ago, and dom0's
 * kernel is told of all at once (`deviceNodes`).
 */
const NO_SCRIPT = "/bin/true";

/** By its place, from xvda on. */
function diskSetting({ device, isWritable }: ConfiguredDisk, place: number): string {
  const name = `xvd${String.fromCodePoint(FIRST_PLACE + place)}`;
  return quoted(`format=raw,vdev=${name},access=${isWritable ? "rw" : "ro"},backendtype=phy,script=${NO_SCRIPT},target=${device}`);
}

/** A line a setting; memory is never ballooned below what was sold, and the domain maps no other's pages. `devices`: its disks. */
export function domainConfig(plan: Omit<DomainPlan, "disk" | "over" | "beside">, devices: readonly ConfiguredDisk[]): string {
  const { kind, name, uuid, kernel, ramdisk, commandLine, memoryMib, vcpu, card, emulation } = plan;
  const settings: readonly (readonly [key: string, value: string | number])[] = [
    ["name", quoted(name)],
    ["uuid", quoted(uuid)],
    ["type", quoted(kind)],
    ...(kernel === null ? [] : [["kernel", quoted(kernel)] as const, ["cmdline", quoted(commandLine)] as const]),
    ...(ramdisk === null ? [] : [["ramdisk", quoted(ramdisk)] as const]),
    ["memory", memoryMib],
    ["maxmem", memoryMib],
    ["vcpus", vcpu],
    ["maxvcpus", vcpu],
    ["cpu_weight", vcpu * WEIGHT_PER_VCPU],
    ["cap", vcpu * CAP_PER_VCPU],
    ["max_grant_frames", GRANT_FRAMES_MAX],
    ["max_maptrack_frames", 0],
    ["max_grant_version", 1],
    ["max_event_channels", eventChannels(vcpu)],
    ["passthrough", quoted("disabled")],
    ...KEPT.map((key) => [key, quoted("preserve")] as const),
    ...(devices.length === 0 ? [] : [["disk", `[${devices.map(diskSetting).join(",")}]`] as const]),
    ...(emulation ? emulationSettings(emulation, devices).map(([key, value]) => [key, written(value)] as const) : []),
    ...(card ? [["vif", `[${quoted(cardSetting(card))}]`] as const] : []),
  ];
  return settings.map(([key, value]) => `${key}=${value}\n`).join("");
}
