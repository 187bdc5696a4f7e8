/**
 * What the server itself boots guests made from OCI images with: the distribution's cloud kernel, and an initial RAM disk of Perl,
 * BusyBox and the QEMU guest agent, all from the distribution's packages, around init/init.pl and init/container.pl; for Xen domains with
 * the drivers of their disks and card, and init/domain.pl and init/sessions.pl in place of ports.
 */
import { createHash } from "node:crypto";
import { access, chmod, mkdir, readFile, readdir, realpath, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import { MODE, cpio, type CpioEntry } from "./cpio.ts";

export interface Stock {
  kernel: string;
  /** The kernel's first bytes: for machines that go on from a snapshot, in which the kernel itself is long in memory. */
  kernelHead: string;
  initrd: string;
  /** Of kernel and RAM disk: guests booted alike share snapshots. */
  digest: string;
}

/** What the guests are. */
type GuestSort = "machine" | "domain";

/** In the order in which they are loaded after those they need. */
const MODULES: Readonly<Record<GuestSort, readonly string[]>> = {
  machine: [
    ...["virtio_pci", "virtio_mmio", "virtio_blk", "virtio_console", "virtio_net", "virtio-rng", "squashfs", "overlay", "pvpanic-mmio"],
  ],
  domain: ["xen-blkfront", "xen-netfront", "crc32c_generic", "ext4", "squashfs", "overlay"],
};

const there = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** The newest kernel that has its modules here; for machines a cloud kernel first, for domains one as dom0 has. Null where none is. */
export async function findKernel(sort: GuestSort = "machine"): Promise<{ kernel: string; version: string } | null> {
  const names = await readdir("/boot").catch(() => []);
  const versions = names.flatMap((name) => (name.startsWith("vmlinuz-") ? [name.slice("vmlinuz-".length)] : []));
  const rank = (version: string): number => (version.includes("cloud") === (sort === "machine") ? 1 : 0);
  versions.sort((a, b) => rank(b) - rank(a) || b.localeCompare(a, "en", { numeric: true }));
  for (const version of versions)
    if (await there(`/lib/modules/${version}/modules.dep`)) return { kernel: `/boot/vmlinuz-${version}`, version };
  return null;
}

/** A line of modules.dep: a module, and those that it needs. */
function needsOf(line: string): [file: string, needs: string[]] {
  const [file = "", needs] = line.split(":");
  if (needs === undefined) throw new Error(`modules.dep has a line without a colon: ${line}`);
  return [file, needs.trim().split(" ").filter(Boolean)];
}

async function modules(version: string, sort: GuestSort): Promise<CpioEntry[]> {
  const base = `/lib/modules/${version}`;
  const lines = (await readFile(path.join(base, "modules.dep"), "utf8")).trim().split("\n");
  const needs = new Map(lines.map(needsOf));
  const fileOf = (name: string): string | undefined => [...needs.keys()].find((file) => path.basename(file).startsWith(`${name}.ko`));
  const order: string[] = [];
  const add = (file: string): void => {
    for (const need of [...(needs.get(file) ?? [])].reverse()) if (!order.includes(need)) add(need);
    if (!order.includes(file)) order.push(file);
  };
  for (const name of MODULES[sort]) {
    const file = fileOf(name);
    if (file !== undefined) add(file); // one that is missing is built into the kernel
  }
  const entries: CpioEntry[] = [];
  for (const file of order)
    entries.push({ path: `modules/${path.basename(file)}`, mode: MODE.file, data: await readFile(path.join(base, file)) });
  entries.push({ path: "modules/order", mode: MODE.file, data: Buffer.from(`${order.map((file) => path.basename(file)).join("\n")}\n`) });
  return entries;
}

/** A program and the libraries it loads. */
async function program(file: string, at: string, libraryFolder: string | null): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [{ path: at, mode: MODE.program, data: await readFile(await realpath(file)) }];
  const { stdout } = await run("ldd", [file]).catch(() => ({ stdout: "" }));
  for (const [, library = ""] of stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)) {
    const name = path.basename(library);
    const inside =
      libraryFolder === null
        ? library.slice(1)
        : name.startsWith("ld-linux")
          ? `${path.dirname(libraryFolder)}/ld.so`
          : `${libraryFolder}/${name}`;
    entries.push({ path: inside, mode: MODE.program, data: await readFile(await realpath(library)) });
  }
  return entries;
}

const PACKAGES: readonly [file: string, name: string][] = [
  ["/bin/busybox", "busybox-static"],
  ["/usr/sbin/qemu-ga", "qemu-guest-agent"],
  ["/usr/bin/perl", "perl-base"],
  ["/usr/bin/sqfstar", "squashfs-tools"],
  ["/usr/sbin/mke2fs", "e2fsprogs"],
  ["/usr/bin/xz", "xz-utils"],
  ["/usr/bin/bzip2", "bzip2"],
];

/** What is missing, as what to install; null when nothing is. */
export async function stockProblem(sort: GuestSort = "machine"): Promise<string | null> {
  const missing: string[] = [];
  for (const [file, name] of PACKAGES) if (!(await there(file))) missing.push(name);
  if (!(await findKernel(sort))) missing.push(sort === "machine" ? "linux-image-cloud-amd64" : "linux-image-amd64");
  return missing.length === 0 ? null : `for OCI images: apt install ${missing.join(" ")}`;
}

async function kept(file: string, bytes: Uint8Array): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  const part = `${file}.${process.pid}.part`;
  try {
    if (!(await there(file))) {
      await writeFile(part, bytes);
      await rename(part, file);
    }
    await chmod(file, 0o644); // for boxes' users, whatever the umask of the daemon that made it
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return file;
}

/**
 * More than a kernel's real-mode part, which is all that QEMU looks at before it starts a guest (Linux Documentation/x86/boot,
 * setup_sects).
 */
const KERNEL_HEAD_BYTES = 64 * 1024;

/** What a domain's kernel runs when it is asked to power down, as kernel/reboot.c names it. */
const POWEROFF = "#!/bin/busybox sh\nexec /bin/busybox kill -TERM 1\n";

const domainEntries = async (own: (name: string) => Promise<Buffer>): Promise<CpioEntry[]> => [
  { path: "domain.pl", mode: MODE.file, data: await own("domain.pl") },
  { path: "sessions.pl", mode: MODE.file, data: await own("sessions.pl") },
  { path: "sbin/poweroff", mode: MODE.program, data: Buffer.from(POWEROFF) },
];

/** Builds the RAM disk once and keeps it in `cache`. Null where something is missing (stockProblem says what). */
export async function openStock(cache: string, sort: GuestSort = "machine"): Promise<Stock | null> {
  const found = await findKernel(sort);
  if (!found || (await stockProblem(sort)) !== null) return null;
  const own = (name: string): Promise<Buffer> => readFile(path.join(import.meta.dirname, "../init", name));
  const entries: CpioEntry[] = [
    { path: "init", mode: MODE.program, data: await own("init.pl") },
    { path: "container.pl", mode: MODE.file, data: await own("container.pl") },
    { path: "who.pl", mode: MODE.file, data: await own("who.pl") },
    { path: "program.pl", mode: MODE.file, data: await own("program.pl") },
    { path: "shell.pl", mode: MODE.file, data: await own("shell.pl") },
    ...(await program("/bin/busybox", "bin/busybox", null)),
    ...(await program("/usr/bin/perl", "bin/perl", null)),
    ...(await program("/usr/sbin/qemu-ga", "agent/qemu-ga", "agent/lib")),
    ...(await modules(found.version, sort)),
    ...(sort === "domain" ? await domainEntries(own) : []),
  ];
  const initrd = cpio(entries);
  const digest = createHash("sha256")
    .update(await readFile(found.kernel))
    .update(initrd)
    .digest("hex");
  const head = (await readFile(found.kernel)).subarray(0, KERNEL_HEAD_BYTES);
  return {
    ...{ kernel: found.kernel, digest },
    initrd: await kept(path.join(cache, `stock-${digest}.cpio`), initrd),
    kernelHead: await kept(path.join(cache, `stock-${digest}.head`), head),
  };
}
