/**
 * What a virtual machine's job is, in digests: what boots, on which machine, with which disks, and what it may reach. Its hash stands in
 * the order (PROTOCOL section 5); bytes and names travel in the channel. Who controls the inputs: the customer, every field.
 */
import * as z from "zod/mini";
import { canonicalBytes } from "./canonical.ts";
import { toHex } from "./bytes.ts";
import type { Crypto } from "./crypto.ts";
import { zEgress, zFuel, zId } from "./documents/parts.ts";

const MACHINES = ["pc", "q35", "microvm"] as const;
const IMAGE_FORMATS = ["qcow2", "raw"] as const;
/** How many can be written down; how many a server takes says `vmSpecProblem` (vm-rules.ts), in words. */
export const VOLUMES_MAX = 256;
const LAYERS_WRITTEN_MAX = 1_024;

const zText = z.string().check(z.maxLength(131_072), z.regex(/^[^\0]*$/u, "must not hold NUL"));
/** A kernel's command line goes into QEMU's arguments as one word. */
const zCommandLine = z.string().check(z.maxLength(2_048), z.regex(/^[^\p{Cc}]*$/u, "must be one line"));

/** An image the server fetches itself, where its owner allows that; null: it comes through the channel. */
const zUrl = z.nullable(z.string().check(z.maxLength(2_048), z.regex(/^https?:\/\/\S+$/u, "must be an http or https address")));

const zDisk = z.strictObject({ digest: zId, format: z.enum(IMAGE_FORMATS), url: zUrl });

/** As container engines have it where nobody says otherwise (signal(7): SIGTERM). */
export const USUAL_PROCESS = { stdin: false, terminal: null, stopSignal: 15, stopGraceMs: 10_000 } as const;
/** The market's grace may be shorter: then that counts. */
export const STOP_GRACE_MS_MAX = 60_000;
export const WINDOW_SIDE_MAX = 10_000;
const zSide = z.int().check(z.gte(1), z.lte(WINDOW_SIDE_MAX));
export const zWindow = z.strictObject({ rows: zSide, columns: zSide });
export type TerminalWindow = z.infer<typeof zWindow>;

const zProcess = z.strictObject({
  /** Its standard input is what its customer sends while it runs; else it is empty. */
  stdin: z.boolean(),
  /** Its three streams are a terminal, which begins with this size. */
  terminal: z.nullable(zWindow),
  stopSignal: z.int().check(z.gte(1), z.lte(64)),
  /** Between that signal and SIGKILL. */
  stopGraceMs: z.int().check(z.gte(0), z.lte(STOP_GRACE_MS_MAX)),
});
export type VmProcess = z.infer<typeof zProcess>;

const zBoot = z.discriminatedUnion("kind", [
  /** A disk image, an installer's medium, or both. */
  z.strictObject({
    kind: z.literal("disk"),
    image: z.nullable(zDisk),
    iso: z.nullable(z.strictObject({ digest: zId, url: zUrl })),
    /** Files of the NoCloud seed (cloud-init's datasource), by name. */
    seed: z
      .array(z.strictObject({ name: z.enum(["user-data", "meta-data", "network-config", "vendor-data"]), digest: zId }))
      .check(z.maxLength(4)),
  }),
  z.strictObject({ kind: z.literal("kernel"), kernel: zId, initrd: z.nullable(zId), append: zCommandLine }),
  /** An OCI image: its layers bottom first, as the manifest lists them, and what its configuration starts. */
  z.strictObject({
    kind: z.literal("oci"),
    image: zId,
    layers: z
      .array(z.strictObject({ digest: zId, compression: z.enum(["none", "gzip", "zstd"]) }))
      .check(z.minLength(1), z.maxLength(LAYERS_WRITTEN_MAX)),
    args: z.array(zText).check(z.minLength(1), z.maxLength(1024)),
    env: z
      .array(z.string().check(z.maxLength(131_072), z.regex(/^[^\0=]+=[^\0]*$/u, "must be NAME=VALUE, without NUL")))
      .check(z.maxLength(1024)),
    workdir: zText,
    /** Folders that are there when it starts, made where the image has none. Absent: none are wanted. */
    volumes: z.exactOptional(z.array(zText.check(z.regex(/^\//))).check(z.minLength(1), z.maxLength(VOLUMES_MAX))),
    user: z.string().check(z.maxLength(128), z.regex(/^[^\p{C}]*$/u)),
    hostname: z.string().check(z.regex(/^[a-z0-9-]{0,63}$/)),
    /** Absent: USUAL_PROCESS. */
    process: z.exactOptional(zProcess),
  }),
  /** A guest of an earlier lease of the same customer on the same server, as `xeno lease snapshot` left it. */
  z.strictObject({ kind: z.literal("snapshot"), snapshot: zId }),
]);

export const zVmSpec = z.strictObject({
  vm: zBoot,
  machine: z.enum(MACHINES),
  firmware: z.enum(["bios", "uefi"]),
  /** Which devices the guest sees: virtio, or what Windows' own drivers know. */
  devices: z.enum(["virtio", "emulated"]),
  tpm: z.boolean(),
  /** A graphics card, a tablet, and a screen that its customer can see. Absent: none. */
  screen: z.exactOptional(z.literal(true)),
  vcpu: z.int().check(z.gte(1), z.lte(64)),
  /** The guest's own memory; the lease's is larger by what QEMU itself needs. */
  memoryMib: z.int().check(z.gte(32), z.lte(1_048_576)),
  /** Size of the guest's disk. */
  diskMib: z.int().check(z.gte(0), z.lte(16_777_216)),
  outputMibMax: z.int().check(z.gte(1), z.lte(65_536)),
  /** A network card: for ssh and forwarded ports, and for egress. */
  network: z.boolean(),
  egress: zEgress,
  inputs: zId,
  /** Null: any QEMU. Of a deterministic machine: exactly this one (engine in offers and results). */
  engine: z.nullable(z.string().check(z.maxLength(64))),
  fuelMax: zFuel,
  seed: zId,
  clockBaseMs: z.int().check(z.gte(0)),
});
export type VmSpec = z.infer<typeof zVmSpec>;
export type VmBoot = VmSpec["vm"];

export const processOf = (vm: VmBoot): VmProcess => (vm.kind === "oci" ? vm.process : undefined) ?? USUAL_PROCESS;

export const vmJobHashOf = (crypto: Crypto, spec: VmSpec): string => toHex(crypto.sha256(canonicalBytes(spec)));

/** Whether the server is to fetch something of it from an address. */
export const isFetched = (vm: VmBoot): boolean => vm.kind === "disk" && [vm.image, vm.iso].some((each) => (each?.url ?? null) !== null);

/** Digests of every blob that a machine needs, but for images that the server is to fetch itself. */
export function blobsOfVm({ vm }: VmSpec): string[] {
  switch (vm.kind) {
    case "disk":
      return [
        ...[vm.image, vm.iso].flatMap((each) => (each && each.url === null ? [each.digest] : [])),
        ...vm.seed.map(({ digest }) => digest),
      ];
    case "kernel":
      return [vm.kernel, ...(vm.initrd === null ? [] : [vm.initrd])];
    case "oci":
      return vm.layers.map(({ digest }) => digest);
    case "snapshot":
      return [];
  }
}
