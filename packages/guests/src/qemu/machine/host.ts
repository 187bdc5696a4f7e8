/**
 * What this machine can do with virtual machines: tried, not believed. Every part says in words what is missing and how to install it.
 * Who controls the inputs: the owner's machine.
 */
import { createHash } from "node:crypto";
import { access, constants, mkdir, mkdtemp, readFile, readdir, realpath, rm } from "node:fs/promises";
import path from "node:path";
import { run } from "../../programs/start.ts";
import type { VmSpec } from "@xenoservers/protocol";
import { OWN_BOX, SYSTEM_PATH, boxProblem, isRoot } from "./box.ts";
import { hostLimits, type Limits } from "../../cgroup.ts";
import { DETERMINISTIC_FLAGS, VM_OVERHEAD_MIB, planVm, type Accel } from "./plan.ts";
import { writeOwn } from "../../write-own.ts";
import { openStock, stockProblem, type Stock } from "../images/stock.ts";
import { launchVm, makeVmFolder } from "./vm.ts";

export interface QemuHost {
  accel: Accel;
  /** Why not by hardware, in words; empty for KVM. */
  accelWhy: string;
  version: string;
  /** The exact QEMU of deterministic machines: program, firmware and flags by hash. */
  engine: string;
  limits: Limits;
  /** Whether each machine has a user id of the host that owns nothing else. */
  ownUser: boolean;
  /** Null where OCI images cannot be booted; `stockWhy` says what is missing. */
  stock: Stock | null;
  stockWhy: string;
  uefi: { code: string; vars: string } | null;
  tpm: boolean;
  /** Whether this QEMU was built to show screens (VNC). */
  screen: boolean;
}

export type HostState = { ok: true; host: QemuHost } | { ok: false; why: string };

const can = (file: string, mode: number): Promise<boolean> =>
  access(file, mode).then(
    () => true,
    () => false,
  );

const UEFI = { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", vars: "/usr/share/OVMF/OVMF_VARS_4M.fd" } as const;
const BIOS_FILES = ["/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/linuxboot_dma.bin"] as const;
/** Decides the user id of boxes that belong to no lease. */
const PROBE = "00000002";
const PROBE_MS = 6_000;
/** A guest in long mode that prints a line: a hypervisor that only runs firmware, or hangs later, does not get so far. */
const PROBE_LINE = "Kernel panic";

async function which(program: string): Promise<string | null> {
  // what is found here is what its box starts
  return run("sh", ["-c", `command -v ${program}`], { env: { PATH: SYSTEM_PATH } }).then(
    ({ stdout }) => realpath(stdout.trim()),
    () => null,
  );
}

/** A small machine that boots the stock kernel. */
const NO_DIGEST = "0".repeat(64);
const probeSpec = (append: string): VmSpec => ({
  ...{
    machine: "pc",
    firmware: "bios",
    devices: "virtio",
    tpm: false,
    vcpu: 1,
    memoryMib: 256,
    diskMib: 0,
    outputMibMax: 1,
    network: false,
    egress: "none",
  },
  vm: { kind: "kernel", kernel: NO_DIGEST, initrd: null, append },
  ...{ inputs: NO_DIGEST, engine: null, fuelMax: "0", seed: NO_DIGEST, clockBaseMs: 0 },
});

const SCRATCH = "scratch-";

/** For a guest of this process's own; what an earlier one was killed over is swept away. */
async function scratchFolder(cache: string): Promise<string> {
  await mkdir(cache, { recursive: true, mode: 0o700 });
  for (const name of await readdir(cache)) {
    const pid = name.startsWith(SCRATCH) ? name.slice(SCRATCH.length).split("-")[0] : undefined;
    if (pid !== undefined && !(await can(`/proc/${pid}`, constants.F_OK)))
      await rm(path.join(cache, name), { recursive: true, force: true });
  }
  return mkdtemp(path.join(cache, `${SCRATCH}${process.pid}-`));
}

/** Whether a stock kernel really runs under KVM here; null when it does, else why not. */
async function kvmProblem(scratch: string, kernel: string | null): Promise<string | null> {
  if (!(await can("/dev/kvm", constants.R_OK | constants.W_OK))) return "no /dev/kvm that this user may use";
  if (kernel === null) return "no kernel to try KVM with: apt install linux-image-cloud-amd64";
  const folder = await mkdtemp(path.join(scratch, "probe-"));
  await makeVmFolder(folder);
  const spec = probeSpec("console=ttyS0 panic=0");
  const args = planVm({
    spec,
    accel: "kvm",
    files: { kernel: "/img/kernel" },
    diskIopsMax: 0,
    diskBytesPerSecondMax: 0,
    restore: null,
    sharedMemory: null,
    deterministic: false,
  });
  const vm = await launchVm({
    ...{ ...OWN_BOX, folder, name: PROBE, args, kvm: true, fileMibMax: 64, outputMibMax: 1 },
    files: [{ host: kernel, name: "kernel" }],
  }).catch((error: Error) => error.message);
  if (typeof vm === "string")
    return `KVM does not start: ${vm
      .replace(/^QEMU did not start: (qemu-system-x86_64: )?/, "")
      .split(" / ")[0]!
      .slice(0, 100)}`;
  try {
    await vm.begin();
    for (const deadline = Date.now() + PROBE_MS; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 50)))
      if (Buffer.from(await vm.read("console", 0)).includes(PROBE_LINE)) return null;
    return `/dev/kvm is there, but a guest hangs in it (no sign of life within ${PROBE_MS / 1_000} s)`;
  } finally {
    await vm.dispose();
  }
}

/** Of everything that decides what a deterministic machine does. */
async function engineOf(qemu: string, version: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of [qemu, ...BIOS_FILES]) hash.update(await readFile(file).catch(() => Buffer.alloc(0)));
  for (const flag of DETERMINISTIC_FLAGS) hash.update(flag);
  return `qemu-${version}-${hash.digest("hex").slice(0, 16)}`;
}

/** Finds out what can be done here. `cache` keeps what is built once. */
export async function openQemuHost(cache: string): Promise<HostState> {
  if (process.arch !== "x64") return { ok: false, why: `virtual machines need an x86-64 host, this is ${process.arch}` };
  const qemu = await which("qemu-system-x86_64");
  if (qemu === null || (await which("qemu-img")) === null)
    return { ok: false, why: "QEMU is not installed: apt install qemu-system-x86 qemu-utils" };
  const scratch = await scratchFolder(cache);
  try {
    const box = await boxProblem(path.join(scratch, "box"));
    return box === null ? { ok: true, host: await look(qemu, cache, scratch) } : { ok: false, why: box };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** One that was built without them ends at the option, before it says its version; nothing is opened. */
const showsScreens = (qemu: string): Promise<boolean> =>
  run(qemu, ["-vnc", "unix:/nowhere", "-version"]).then(
    () => true,
    () => false,
  );

async function look(qemu: string, cache: string, scratch: string): Promise<QemuHost> {
  const { stdout } = await run(qemu, ["--version"]);
  const version = /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? "unknown";
  const stock = await openStock(cache);
  const accelWhy = (await kvmProblem(scratch, stock?.kernel ?? null)) ?? "";
  return {
    accel: accelWhy === "" ? "kvm" : "tcg",
    accelWhy,
    version,
    engine: await engineOf(qemu, version),
    limits: await hostLimits(),
    ownUser: isRoot(),
    stock,
    stockWhy: (await stockProblem()) ?? "",
    uefi: (await can(UEFI.code, constants.R_OK)) && (await can(UEFI.vars, constants.R_OK)) ? UEFI : null,
    tpm: (await which("swtpm")) !== null,
    screen: await showsScreens(qemu),
  };
}

const BENCH_MIB = 8;
const BENCH_MS = 60_000;

/** How long the same work takes outside, in ms. */
async function benchOutside(): Promise<number> {
  const start = performance.now();
  await run("sh", ["-c", `head -c ${BENCH_MIB * 1024 * 1024} /dev/zero | /bin/busybox sha256sum`]);
  return performance.now() - start;
}

/**
 * The speed of one core inside a guest, by the same work in a guest and outside; `outside` is the machine's own score. Kept in `cache`
 * per QEMU, kernel and acceleration. 0 where there is nothing to boot; null where `signal` called it off.
 */
export async function measureVmScore(host: QemuHost, cache: string, outside: number, signal: AbortSignal): Promise<number | null> {
  const { stock } = host;
  if (!stock) return 0;
  const file = path.join(cache, `score-${host.engine}-${stock.digest.slice(0, 16)}-${host.accel}`);
  // nothing stands there where an earlier daemon was killed as it wrote
  const known = Number(await readFile(file, "utf8").catch(() => "")) || null;
  const ratio = known ?? (await benchRatio(host, stock, cache, signal));
  if (ratio === null) return null;
  if (known === null) await writeOwn(file, String(ratio));
  return Math.max(1, Math.round(outside * ratio));
}

async function benchRatio(host: QemuHost, stock: Stock, cache: string, signal: AbortSignal): Promise<number | null> {
  const folder = await scratchFolder(cache);
  await makeVmFolder(folder);
  const spec = probeSpec("console=ttyS0 quiet panic=-1 xeno.bench");
  const files = { kernel: "/img/kernel", initrd: "/img/initrd" };
  const args = planVm({
    ...{ spec, accel: host.accel, files, diskIopsMax: 0, diskBytesPerSecondMax: 0, restore: null, sharedMemory: null },
    deterministic: false,
  });
  const bound = [
    { host: stock.kernel, name: "kernel" },
    { host: stock.initrd, name: "initrd" },
  ];
  const vm = await launchVm({
    ...{ ...OWN_BOX, folder, name: PROBE, args, kvm: host.accel === "kvm", fileMibMax: 64, outputMibMax: 1 },
    files: bound,
  });
  try {
    await vm.begin();
    const late = AbortSignal.any([signal, AbortSignal.timeout(BENCH_MS)]);
    await Promise.race([
      vm.ended,
      new Promise((resolve) => (late.aborted ? resolve(null) : late.addEventListener("abort", resolve, { once: true }))),
    ]);
    if (signal.aborted) return null;
    const said = /xeno-bench (\d+)/.exec(Buffer.from(await vm.read("console", 0)).toString());
    if (!said) throw new Error("the guest that measures speed did not say how fast it was");
    return (await benchOutside()) / Math.max(1, Number(said[1]));
  } finally {
    await vm.dispose();
  }
}

export const overheadMib = (accel: Accel): number => VM_OVERHEAD_MIB[accel];
