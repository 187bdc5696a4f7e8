/** A driver on a pool, the twin's or a real one, and jobs for it: what a test says a machine is to do stands in its seed. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { buildVm, fileBlob, type VmInput } from "@xenoservers/sdk";
import type { GuestJob } from "../../packages/xenoserver/src/drivers/driver.ts";
import { openPool, type OpenedPool, type PoolSettings } from "../../packages/xenoserver/src/drivers/xapi/open-pool.ts";
import { orderedFor } from "../../packages/xenoserver/src/testing/ordered.ts";
import { PASSWORD, Twin, USER } from "./twin.ts";

const MIB = 1024 * 1024;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export interface Bench {
  twin: Twin;
  folder: string;
  settings: PoolSettings;
  logged: string[];
  /** Opens the pool as a daemon does that starts: with what its journal knows. */
  /** `wait`: as its waits pass. */
  open(inUse?: readonly string[], more?: Partial<PoolSettings>, wait?: (ms: number) => Promise<void>): Promise<OpenedPool>;
  job(script: readonly string[], more?: Partial<VmInput>, lease?: string): Promise<GuestJob>;
  close(): Promise<void>;
}

/** Waits that a test need not sit through: the next turn of the loop. */
const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

interface Asked {
  /** What the seed's user-data says. */
  script: readonly string[];
  /** Absent: a small one that boots nothing. */
  disk?: { file: string; digest: string; bytes: number; format?: "raw" | "qcow2" };
  more?: Partial<VmInput>;
}

/** As a customer's disk of that format. */
export async function diskOf(file: string, format: "raw" | "qcow2"): Promise<NonNullable<Asked["disk"]>> {
  const bytes = await readFile(file);
  return { file, digest: digestOf(bytes), bytes: bytes.length, format };
}

async function blankDisk(folder: string): Promise<NonNullable<Asked["disk"]>> {
  const bytes = Buffer.alloc(MIB, "a disk of a customer's");
  const file = path.join(folder, digestOf(bytes));
  await writeFile(file, bytes);
  return { file, digest: digestOf(bytes), bytes: bytes.length };
}

export async function jobIn(folder: string, lease: string, { script, disk: given, more = {} }: Asked): Promise<GuestJob> {
  const disk = given ?? (await blankDisk(folder));
  const seed = Buffer.from(`${script.join("\n")}\n`);
  const seedFile = path.join(folder, digestOf(seed));
  await writeFile(seedFile, seed);
  const blobs = [await fileBlob(seedFile), ...(given ? [] : [await fileBlob(disk.file)])];
  const { spec, inputs, jobHash } = buildVm({
    vm: {
      ...{ kind: "disk", iso: null, image: { digest: disk.digest, format: disk.format ?? "raw", url: null } },
      seed: [{ name: "user-data", digest: digestOf(seed) }],
    },
    ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 128, diskMib: 4, outputMibMax: 1 },
    ...{ network: false, egress: "none", engine: null, fuelMax: 1n, blobs, mounts: [], ...more },
  });
  const sizes = [
    { digest: disk.digest, size: disk.bytes },
    { digest: digestOf(seed), size: seed.length },
  ];
  const resources = { vcpu: 1, memoryMib: spec.memoryMib + 192, diskMib: Math.max(64, spec.diskMib) };
  const egressMibMax = spec.egress === "none" ? 0 : 100;
  return {
    ...orderedFor({ jobHash, driver: "xapi", resources, fuelMax: "1", egress: spec.egress, egressMibMax }),
    ...{
      lease,
      work: { kind: "machine", vm: { spec, inputs, blobs: sizes } },
      fuelMax: 1n,
      runMsMax: 600_000,
      egressBytesUsed: () => 0,
      trace: null,
    },
    blobFile: (digest) => (digest === disk.digest ? disk.file : path.join(folder, digest)),
  };
}

export async function bench(hosts = 2): Promise<Bench> {
  const twin = await Twin.open(hosts);
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-xapi-"));
  const passwordFile = path.join(folder, "password");
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  await mkdir(path.join(folder, "blobs"));
  const settings: PoolSettings = {
    ...{ url: twin.url, user: USER, password_file: passwordFile, fingerprints: twin.fingerprints, sr: "xeno", boot: "pv" },
    ...{ image_gib: 1, snapshots_gib: 1, snapshots_hours: 1, network: null },
  };
  const logged: string[] = [];
  const opened: OpenedPool[] = [];
  let last = 0;
  return {
    ...{ twin, folder, settings, logged },
    async open(inUse = [], more = {}, wait = soon) {
      const pool = await openPool({
        ...{ settings: { ...settings, ...more }, crypto: nodeCrypto, folder: path.join(folder, "xapi"), inUse: new Set(inUse) },
        ...{ wait, now: () => Date.now(), monotonicMs },
        log: (what, facts) => logged.push(`${what} ${JSON.stringify(facts)}`),
      });
      opened.push(pool);
      return pool;
    },
    job: (script, more = {}, lease = (++last).toString(16).padStart(8, "0") + "d".repeat(56)) =>
      jobIn(path.join(folder, "blobs"), lease, { script, more }),
    async close() {
      for (const { driver } of opened) await driver.close();
      await twin.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
