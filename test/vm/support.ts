/** Guests for the suites in this folder, made of Debian's packages, and a market whose server runs machines. They run with XENO_VM=1 (as .ci/run does). */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { access, mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { describe } from "vitest";
import { findKernel } from "@xenoservers/guests";
import type { MarketClient } from "@xenoservers/sdk";
import {
  MarketClient as Client,
  VM_DRIVER,
  VM_OVERHEAD_MIB,
  buildVm,
  fileBlob,
  identityOf,
  saveContext,
  type BuiltVm,
  type VmInput,
  type Wanted,
} from "@xenoservers/sdk";
import { cpio, MODE } from "../../packages/guests/src/qemu/images/cpio.ts";
import { startMarket, until, type MarketOptions, type TestMarket } from "../process/market.ts";

export const run = promisify(execFile);

const wantedHere = process.env["XENO_VM"] === "1";
if (!wantedHere) console.warn("SKIPPED: suites with virtual machines need Debian's packages; .ci/run installs them and sets XENO_VM=1");

/** A suite that is skipped, loudly and counted, unless machines are wanted; with XENO_VM=1 what is missing is a failure. */
export const machines = (name: string, suite: () => void): void => void describe.skipIf(!wantedHere)(name, suite);

const cache = path.join(tmpdir(), "xeno-vm-test-cache");

export async function once(name: string, make: (part: string) => Promise<void>): Promise<string> {
  const file = path.join(cache, name);
  const there = await access(file).then(
    () => true,
    () => false,
  );
  if (there) return file;
  await mkdir(cache, { recursive: true });
  const part = `${file}.${process.pid}`;
  await make(part);
  await rename(part, file).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY") throw error; // another made the same folder meanwhile
    await rm(part, { recursive: true });
  });
  return file;
}

export async function kernel(): Promise<string> {
  const found = await findKernel();
  if (!found) throw new Error("no kernel: apt install linux-image-cloud-amd64");
  return found.kernel;
}

/** A RAM disk whose init runs a BusyBox script, with the kernel modules that are named. */
export async function initrd(script: string, modules: readonly string[] = []): Promise<Buffer> {
  const head =
    "#!/bin/busybox sh\n/bin/busybox --install -s /bin\nmkdir -p /proc /sys /dev\nmount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\nfor m in $(cat /order 2>/dev/null); do insmod /$m; done\n";
  const { version } = (await findKernel())!;
  const base = `/lib/modules/${version}`;
  const deps = new Map(
    (await readFile(`${base}/modules.dep`, "utf8"))
      .trim()
      .split("\n")
      .map((line) => [line.split(":")[0]!, line.split(":")[1]!.trim().split(" ").filter(Boolean)] as const),
  );
  const order: string[] = [];
  for (const name of modules) {
    const file = [...deps.keys()].find((each) => path.basename(each) === `${name}.ko`);
    if (file) for (const each of [...deps.get(file)!].reverse().concat(file)) if (!order.includes(each)) order.push(each);
  }
  return cpio([
    { path: "init", mode: MODE.program, data: Buffer.from(`${head}${script}\n`) },
    { path: "bin/busybox", mode: MODE.program, data: await readFile("/bin/busybox") },
    ...(await Promise.all(
      order.map(async (file) => ({ path: path.basename(file), mode: MODE.file, data: await readFile(path.join(base, file)) })),
    )),
    { path: "order", mode: MODE.file, data: Buffer.from(order.map((file) => path.basename(file)).join("\n")) },
  ]);
}

export const NETWORK_MODULES = ["virtio_pci", "virtio_net"] as const;
export const QUIET = "console=ttyS0 quiet panic=-1";

/**
 * What a script beside this file makes in an empty folder, kept under the digest of the script and of what it reads beside itself: others
 * make another file.
 */
export async function madeBy(script: string, name: string, reads: readonly string[] = []): Promise<string> {
  const file = path.resolve(import.meta.dirname, script);
  const hash = createHash("sha256");
  for (const each of [file, ...reads]) hash.update(await readFile(each));
  const digest = hash.digest("hex");
  return once(`${digest.slice(0, 16)}-${name}`, async (part) => {
    const work = await mkdtemp(path.join(tmpdir(), "xeno-made-"));
    try {
      await run("bash", [file, work, part], { maxBuffer: 64 * 1024 * 1024 });
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}

/** A Debian with systemd, cloud-init, an SSH server and the guest agent, as distributions publish it: one disk, GRUB, no seed. */
export const debianDisk = (): Promise<string> => madeBy("debian-disk.sh", "debian.qcow2");

/** A Debian's files as a layer: systemd, s6, tini, dumb-init, runit, busybox. */
export const debianInits = (): Promise<string> => madeBy("debian-inits.sh", "debian-inits.tar");

const NO_BLOB = "0".repeat(64);

export interface LayoutConfig {
  mediaType?: string;
  os?: string;
  architecture?: string;
  config?: Record<string, unknown>;
}

/** An OCI image layout of these layers, bottom first, as an image named `image`. */
export async function layoutOf(layout: string, layers: readonly string[], config: LayoutConfig = {}): Promise<void> {
  const { mediaType = "application/vnd.oci.image.layer.v1.tar", os = "linux", architecture = "amd64", ...rest } = config;
  const blobs = path.join(layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const put = async (bytes: Buffer, type: string): Promise<{ mediaType: string; digest: string; size: number }> => {
    const digest = createHash("sha256").update(bytes).digest("hex");
    await writeFile(path.join(blobs, digest), bytes);
    return { mediaType: type, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: unknown, type: string) => put(Buffer.from(JSON.stringify(value)), `application/vnd.oci.image.${type}.v1+json`);
  const described = [];
  for (const file of layers) described.push(await put(await readFile(file), mediaType));
  const diffs = described.map(({ digest }) => digest);
  const about = await json({ os, architecture, rootfs: { type: "layers", diff_ids: diffs }, config: {}, ...rest }, "config");
  const manifest = await json({ schemaVersion: 2, config: about, layers: described }, "manifest");
  const named = { ...manifest, annotations: { "org.opencontainers.image.ref.name": "image" } };
  await writeFile(path.join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  await writeFile(path.join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
}

/** A machine; what is not said is a small one without disk or network. */
export async function machine(over: Partial<VmInput> & Pick<VmInput, "vm">): Promise<BuiltVm> {
  return buildVm({
    ...{
      machine: "pc",
      firmware: "bios",
      devices: "virtio",
      tpm: false,
      vcpu: 1,
      memoryMib: 192,
      diskMib: 0,
      outputMibMax: 4,
      network: false,
      egress: "none",
    },
    ...{ engine: null, fuelMax: 10n ** 15n, mounts: [], blobs: [] },
    ...over,
  });
}

export async function kernelMachine(ramdisk: Buffer, over: Partial<VmInput> & { append?: string } = {}): Promise<BuiltVm> {
  const file = await once(`initrd-${createHash("sha256").update(ramdisk).digest("hex")}`, (part) => writeFile(part, ramdisk));
  const blobs = [await fileBlob(await kernel()), await fileBlob(file)];
  const { append = QUIET, ...rest } = over;
  return machine({ vm: { kind: "kernel", kernel: blobs[0]!.digest, initrd: blobs[1]!.digest, append }, blobs, ...rest });
}

/** What a lease of that machine orders. */
export const wantedFor = ({ spec }: BuiltVm, over: Partial<Wanted> = {}): Partial<Wanted> => ({
  resources: { vcpu: spec.vcpu, memoryMib: spec.memoryMib + VM_OVERHEAD_MIB.any, diskMib: spec.diskMib },
  terms: "by-interval",
  ...{ driver: VM_DRIVER, egress: spec.egress, egressMibMax: spec.egress === "none" ? 0 : 64 },
  fuelMax: BigInt(spec.fuelMax),
  durationMsMax: 600_000,
  ...over,
});

export const VM_TOML = "[policy]\nmax_lease_hours = 1\n[capacity]\nvcpu = 2\n";

/** Machines outlive their daemon: what is left of them ends with the market. */
export async function vmMarket(toml = VM_TOML, options: MarketOptions = {}): Promise<TestMarket> {
  process.umask(0o077); // as the unit of `xeno serve --install` has it
  const market = await startMarket(options, toml);
  const close = market.close.bind(market);
  market.close = async () => {
    await endMachines(market.folder);
    await endKeepers(market.folder);
    await close();
  };
  return market;
}

/** A customer as the command line knows one: a folder for XENO_HOME. */
export async function cliHome(
  market: TestMarket,
  credit = "10000000000",
): Promise<{ home: string; client: MarketClient; xeno: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }> }> {
  const seed = randomBytes(32);
  const { pins, url } = market.customer;
  const client = new Client(url, pins, identityOf(seed));
  const { party, account, scopes, leaseLabel, signer } = client.identity;
  await client.act("party", { party, name: "cli", rootKey: signer.publicKey, recoveryKey: null });
  await market.operator("credit", { party, amountNanos: credit, source: "operator", reference: "", clientId: client.newId() });
  const home = path.join(market.folder, `home-${createHash("sha256").update(seed).digest("hex").slice(0, 8)}`);
  await mkdir(path.join(home, "config"), { recursive: true });
  const key = { role: "root" as const, scopes: [...scopes], label: "cli", leaseLabel, seed: seed.toString("hex") };
  await saveContext(
    "test",
    { url, pins, currency: "credits", party, account, ...key },
    {
      file: path.join(home, "config/contexts.json"),
    },
  );
  const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
  const xeno = (...args: string[]) =>
    run(process.execPath, [program, ...args], {
      env: { ...process.env, XENO_HOME: home, NO_COLOR: "1" },
      maxBuffer: 64 * 1024 * 1024,
    }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => ({ code: error.code, stdout: error.stdout, stderr: error.stderr }),
    );
  return { home, client, xeno };
}

/** QEMU processes of a market's server. */
export async function qemus(folder: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.startsWith("unshare") && command.includes(`${folder}/`) && command.includes("/vm/machines/")) found.push(Number(pid));
  }
  return found;
}

/** One that may just have ended by itself. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** What is left of a market's machines. */
export async function endMachines(folder: string): Promise<void> {
  for (const pid of await qemus(folder)) end(-pid);
}

/** What holds the memory of its servers' snapshots, and of nobody else's: other suites run beside this one. */
async function endKeepers(folder: string): Promise<void> {
  for (const server of await readdir(folder)) {
    const snapshots = path.join(folder, server, "vm/snapshots");
    for (const name of await readdir(snapshots).catch(() => [])) {
      const text = await readFile(path.join(snapshots, name, "kept.json"), "utf8").catch(() => "");
      if (text !== "") end((JSON.parse(text) as { keeper: { pid: number } }).keeper.pid);
    }
  }
}

export { NO_BLOB };
export { busyboxLayout } from "./busybox-layout.ts";

/** Ends what a test left running, so that the next finds the server free. */
export async function stopAll({ customer }: TestMarket): Promise<void> {
  const live = async () =>
    (await customer.read("leases", { query: { live: "true", limit: 50 } })).leases.filter(
      ({ customer: party }) => party === customer.identity.party,
    );
  for (const { id } of await live())
    await customer.act("stop", { lease: id, party: customer.identity.party, reason: "the test is over" }).catch(() => {});
  await until(async () => (await live()).length === 0);
}
