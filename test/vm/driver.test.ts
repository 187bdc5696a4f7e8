/** The driver of real machines passes the suite that every driver passes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openQemuHost } from "@xenoservers/guests";
import { afterAll } from "vitest";
import { buildVm, openImage } from "@xenoservers/sdk";
import { createVmDriver, type GuestDriver, type PreparedJob, type VmJob } from "@xenoservers/xenoserver";
import { driverContract, type ContractJobs } from "../../packages/xenoserver/src/drivers/driver-contract.ts";
import { busyboxLayout, machines } from "./support.ts";

let opened: Promise<{ driver: GuestDriver; jobs: ContractJobs }> | null = null;

async function open(): Promise<{ driver: GuestDriver; jobs: ContractJobs }> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-vm-driver-"));
  const state = await openQemuHost(path.join(folder, "cache"));
  if (!state.ok) throw new Error(state.why);
  const image = await openImage(`oci:${await busyboxLayout(folder)}:box`, path.join(folder, "oci"));
  const layers = image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression }));
  for (const { blob } of image.layers) await writeFile(path.join(folder, blob.digest), await blob.read(0, blob.size));
  const egress = { ports: [], allow: [], bytesPerSecondMax: 1, gibPerMonth: 0 };
  const vms = await createVmDriver({
    host: state.host,
    folder: path.join(folder, "vm"),
    egress,
    fetchImages: false,
    imageCacheGib: 1,
    diskIops: 2_000,
    ...{ inUse: [], snapshots: 0, customerSnapshotsGib: 1, customerSnapshotsHours: 1 },
    log: () => {},
  });
  let last = 0;
  const jobOf = (script: string): VmJob => {
    const { spec, inputs } = buildVm({
      vm: { kind: "oci", image: image.digest.slice(7), layers, args: ["sh", "-c", script], env: [], workdir: "/", user: "root", hostname: "" },
      ...{
        machine: "pc",
        firmware: "bios",
        devices: "virtio",
        tpm: false,
        vcpu: 1,
        memoryMib: 192,
        diskMib: 64,
        outputMibMax: 4,
        network: false,
        egress: "none",
      },
      ...{ engine: null, fuelMax: 1n, blobs: image.layers.map(({ blob }) => blob) },
      mounts: [{ mount: { path: "/out", writable: true, keep: true }, entries: [] }],
    });
    const lease = (++last).toString(16).padStart(8, "0") + "d".repeat(56);
    return {
      ...{ lease, customer: `p_${"1".repeat(40)}`, spec, inputs, memoryMib: 448, deterministic: false },
      egressMibMax: 0,
      egressBytesUsed: 0,
      fuelMax: 1n,
      blobFile: (digest) => path.join(folder, digest),
    };
  };
  const jobs = {
    prints: async (text: string, exit: number, ms: number) =>
      jobOf(`printf ${text}; printf ${text} > /out/file; sleep ${ms / 1_000}; exit ${exit}`) as unknown as PreparedJob,
  };
  // the suite hands back what `jobs` made; how a guest is found again needs its job, too
  let prepared: VmJob | null = null;
  const driver: GuestDriver = {
    engine: vms.engine,
    sandbox: { strength: "strong", why: "" },
    hasRuntime: () => false,
    prepare: (job) => vms.prepare((prepared = job as unknown as VmJob)),
    adopt: (token) => vms.adopt(token, prepared!),
    monotonicMs: () => Number(process.hrtime.bigint() / 1_000n) / 1_000,
    async close() {
      await vms.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return { driver, jobs };
}

machines("the driver of machines", () => {
  afterAll(async () => (await opened)?.driver.close());
  driverContract("qemu", () => (opened ??= open()));
});
