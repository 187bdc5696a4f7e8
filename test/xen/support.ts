/** Domains for the suites in this folder, which run with XENO_XEN=1. */
import { tmpdir } from "node:os";
import path from "node:path";
import { describe } from "vitest";
import { buildVm, bytesBlob, fileBlob, leaseMemoryMib, openImage, type BuiltVm, type Wanted } from "@xenoservers/sdk";
import type { Egress } from "@xenoservers/protocol";
import { cpio, MODE } from "../../packages/guests/src/qemu/images/cpio.ts";
import { smallKernel } from "../../packages/guests/src/xen/trial-kernel.ts";
import { busyboxLayout, machine, once, run, wantedFor } from "../vm/support.ts";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { dom0Files } from "./dom0-host.ts";

const wantedHere = process.env["XENO_XEN"] === "1";
if (!wantedHere) console.warn("SKIPPED: suites on a real Xen need Debian's packages and most of a core; npm run test:xen runs them");

/** Dom0 of a real host, by ssh, in place of the emulated one. */
export const XEN_HOST = process.env["XENO_XEN_HOST"];
if (wantedHere && XEN_HOST === undefined) console.warn("no real Xen host was tried: XENO_XEN_HOST names none, and all is emulated");

/** A suite that is skipped, loudly and counted, unless Xen is wanted; with XENO_XEN=1 what is missing is a failure. */
export const onXen = (name: string, suite: () => void): void => void describe.skipIf(!wantedHere)(name, suite);

/** A bare kernel of a file of assembler beside this one, which needs no RAM disk and gets one all the same. Its files are in that folder. */
export async function bareDomain(within: string, source: string): Promise<BuiltVm> {
  const folder = await mkdtemp(path.join(within, "bare-"));
  const [code, kernel] = [path.join(folder, "code"), path.join(folder, "kernel")];
  const flat = ["-nostdlib", "-static", "-fuse-ld=lld", "-Wl,--oformat=binary,-Ttext=0"];
  await run("clang", ["--target=x86_64-linux-gnu", ...flat, "-o", code, path.join(import.meta.dirname, source)]);
  await writeFile(kernel, smallKernel(await readFile(code)));
  return domainOf(kernel, await ramdisk(""));
}

/** A lease that goes on from where a domain was kept. */
export function forkOf({ spec }: BuiltVm, snapshot: string): BuiltVm {
  const { inputs: _inputs, seed: _seed, clockBaseMs: _clock, fuelMax, ...same } = spec;
  return buildVm({ ...same, vm: { kind: "snapshot", snapshot }, fuelMax: BigInt(fuelMax), mounts: [], blobs: [], driver: "xen" });
}

const HEAD = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
insmod /xen-blkfront.ko
`;

/**
 * Words of a domain's shell that ask xenstore as its kernel would: `ask TYPE [NODE] [VALUE]`, types as in xen/io/xs_wire.h (2: read,
 * 6: begin a transaction, 11: write), prints the answer, or the error's name.
 */
export const XENSTORE = String.raw`exec 3<>/dev/xen/xenbus
ask() {
  said=$2; [ $# -lt 3 ] || said="$2\000$3"
  length=$((${"$"}{#2} + 1)); [ $# -lt 3 ] || length=$((length + ${"$"}{#3}))
  [ $# -eq 3 ] || said="$said\000"
  printf "\\$(printf %03o $1)\000\000\000\000\000\000\000\000\000\000\000\\$(printf %03o $length)\000\000\000$said" >&3
  dd bs=4096 count=1 <&3 2>/dev/null | tail -c +17 | tr '\000' ' '
}`;

/** A program of a file of C beside this one, which needs no library. Its file is in that folder. */
export async function bareProgram(within: string, source: string): Promise<string> {
  const file = path.join(within, path.basename(source, ".c"));
  const alone = ["-O1", "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-nostdlib", "-static", "-fuse-ld=lld"];
  await run("clang", ["--target=x86_64-linux-gnu", ...alone, "-o", file, path.join(import.meta.dirname, source)]);
  return file;
}

/** `programs`: beside BusyBox, in its root. */
async function ramdisk(script: string, programs: readonly string[] = []): Promise<string> {
  const beside = await Promise.all(
    programs.map(async (file) => ({ path: path.basename(file), mode: MODE.program, data: await readFile(file) })),
  );
  const bytes = cpio([
    { path: "init", mode: MODE.program, data: Buffer.from(`${HEAD}${script}\n`) },
    { path: "bin/busybox", mode: MODE.program, data: await readFile("/bin/busybox") },
    { path: "xen-blkfront.ko", mode: MODE.file, data: await readFile(path.join(await dom0Files(), "xen-blkfront.ko")) },
    { path: "xen-netfront.ko", mode: MODE.file, data: await readFile(path.join(await dom0Files(), "xen-netfront.ko")) },
    ...beside,
  ]);
  return once(`ramdisk-${createHash("sha256").update(bytes).digest("hex")}`, (part) => writeFile(part, bytes));
}

/** Beside its kernel and RAM disk, what a domain is. */
interface DomainOf {
  append?: string;
  diskMib?: number;
  outputMibMax?: number;
  /** With a network card where this is said. */
  egress?: Egress;
}

const cardFor = (egress: Egress | undefined) => (egress === undefined ? {} : { network: true, egress });

interface ScriptedDomainOf extends DomainOf {
  programs?: readonly string[];
  /** Packed, unless it is said. */
  kernel?: "bzImage" | "vmlinux";
}

/** A domain of dom0's own kernel, whose init runs a BusyBox script. */
export async function domain(script: string, { programs, kernel = "bzImage", ...over }: ScriptedDomainOf = {}): Promise<BuiltVm> {
  return domainOf(path.join(await dom0Files(), kernel), await ramdisk(script, programs), over);
}

const QUIET = "console=hvc0 quiet panic=-1";

/** Of any files. */
export async function domainOf(
  kernel: string,
  initrd: string,
  { append = QUIET, diskMib = 0, outputMibMax = 4, egress }: DomainOf = {},
): Promise<BuiltVm> {
  const blobs = [await fileBlob(kernel), await fileBlob(initrd)];
  const vm = { kind: "kernel", kernel: blobs[0]!.digest, initrd: blobs[1]!.digest, append } as const;
  return machine({ vm, blobs, memoryMib: 128, diskMib, outputMibMax, driver: "xen", ...cardFor(egress) });
}

type SeedName = "user-data" | "meta-data";

/**
 * An unmodified disk: a partition with GRUB's settings, a kernel and its RAM disk, as a distribution leaves them; qcow2. `told`: what
 * cloud-init would be.
 */
export async function diskOf(script: string, told: Partial<Record<SeedName, string>> = {}): Promise<BuiltVm> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-boot-disk-"));
  try {
    const boot = path.join(folder, "root/boot");
    await mkdir(path.join(boot, "grub"), { recursive: true });
    await cp(path.join(await dom0Files(), "bzImage"), path.join(boot, "vmlinuz"));
    await cp(await ramdisk(script), path.join(boot, "initrd"));
    const menu = `echo "GRUB is here"\nlinux /boot/vmlinuz ${QUIET}\ninitrd /boot/initrd\nboot\n`;
    await writeFile(path.join(boot, "grub/grub.cfg"), menu);
    await run("mke2fs", ["-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-d", "root", "part.img", "22M"], { cwd: folder });
    await run("truncate", ["-s", "24M", "disk.img"], { cwd: folder });
    await run("sh", ["-c", "printf 'label: dos\\nstart=2048, type=83, bootable\\n' | sfdisk -q disk.img"], { cwd: folder });
    await run("dd", ["if=part.img", "of=disk.img", "bs=1M", "seek=1", "conv=notrunc", "status=none"], { cwd: folder });
    await run("qemu-img", ["convert", "-O", "qcow2", "disk.img", "disk.qcow2"], { cwd: folder });
    const bytes = await readFile(path.join(folder, "disk.qcow2"));
    const blob = bytesBlob(bytes);
    const files = Object.entries(told).map(([name, text]) => ({ name: name as SeedName, blob: bytesBlob(Buffer.from(text)) }));
    const seed = files.map(({ name, blob: { digest } }) => ({ name, digest }));
    const vm = { kind: "disk", image: { digest: blob.digest, format: "qcow2", url: null }, iso: null, seed } as const;
    const blobs = [blob, ...files.map((each) => each.blob)];
    return await machine({ vm: { ...vm, seed }, blobs, memoryMib: 160, diskMib: 32, driver: "xen" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An image of BusyBox in layers, which runs a script; an input in /in, and what it leaves in /out comes back. Its files are in that folder. */
export async function imageOf(within: string, script: string, { egress }: Pick<DomainOf, "egress"> = {}): Promise<BuiltVm> {
  const folder = await mkdtemp(path.join(within, "image-"));
  const image = await openImage(`oci:${await busyboxLayout(folder)}:box`, path.join(folder, "oci"));
  const input = bytesBlob(Buffer.from("an input"));
  const layers = image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression }));
  const vm = { kind: "oci", image: image.digest.slice(7), layers, args: ["sh", "-c", script], workdir: "/", user: "web" } as const;
  return machine({
    ...{ vm: { ...vm, layers, args: [...vm.args], env: ["SAID=in the order"], hostname: "" }, memoryMib: 160, diskMib: 64, driver: "xen" },
    ...cardFor(egress),
    blobs: image.layers.map(({ blob }) => blob),
    mounts: [
      { mount: { path: "/in", writable: false, keep: false }, entries: [{ path: "file", kind: "file", blob: input }] },
      { mount: { path: "/out", writable: true, keep: true }, entries: [] },
    ],
  });
}

/** All is emulated, beside whatever else runs there: no lease ends because that takes long. */
const DURATION_MS = 3_600_000;
const ON_XEN = { driver: "xen", accel: "any" } as const;

export const wantedOnXen = (job: BuiltVm, over: Partial<Wanted> = {}): Partial<Wanted> => {
  const { vcpu, diskMib } = job.spec;
  const resources = { vcpu, memoryMib: leaseMemoryMib(job.spec, ON_XEN), diskMib };
  return wantedFor(job, { ...ON_XEN, resources, durationMsMax: DURATION_MS, ...over });
};
