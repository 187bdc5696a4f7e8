/** The driver of real machines passes the suite that every driver passes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { openQemuHost } from "@xenoservers/guests";
import { afterAll } from "vitest";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { createVmDriver, machineGuests, type GuestDriver, type GuestJob, type Work } from "@xenoservers/xenoserver";
import { driverContract, type ContractJobs } from "../../packages/xenoserver/src/drivers/driver-contract.ts";
import { fakeJob } from "../../packages/xenoserver/src/testing/fake-customer.ts";
import { orderedFor } from "../../packages/xenoserver/src/testing/ordered.ts";
import { boxJob } from "./box.ts";
import { busyboxLayout, machines } from "./support.ts";

let opened: Promise<{ driver: GuestDriver; jobs: ContractJobs }> | null = null;

async function open(): Promise<{ driver: GuestDriver; jobs: ContractJobs }> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-vm-driver-"));
  const state = await openQemuHost(path.join(folder, "cache"));
  if (!state.ok) throw new Error(state.why);
  const layout = await busyboxLayout(folder);
  const { blobs: layers } = await boxJob(layout, folder, "true");
  for (const blob of layers.values()) await writeFile(path.join(folder, blob.digest), await blob.read(0, blob.size));
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
  const jobOf = async (script: string): Promise<GuestJob> => {
    const mounts = [{ mount: { path: "/out", writable: true, keep: true }, entries: [] }];
    const { spec, inputs, sizes, jobHash } = await boxJob(layout, folder, script, { fuelMax: 1n, mounts });
    const lease = (++last).toString(16).padStart(8, "0") + "d".repeat(56);
    const work: Work = { kind: "machine", vm: { spec, inputs, blobs: sizes } };
    const resources = { vcpu: 1, memoryMib: 448, diskMib: 64 };
    return {
      ...orderedFor({ jobHash, driver: "qemu", resources, fuelMax: "1" }),
      ...{ lease, work, fuelMax: 1n, runMsMax: 600_000, egressBytesUsed: () => 0, trace: null },
      blobFile: (digest) => path.join(folder, digest),
    };
  };
  const jobs: ContractJobs = {
    foreign: { kind: "wasm", job: fakeJob(["run"]).job },
    prints: async (text, exit, ms) => jobOf(`printf ${text}; printf ${text} > /out/file; sleep ${ms / 1_000}; exit ${exit}`),
  };
  const guests = machineGuests(nodeCrypto, vms);
  const driver: GuestDriver = {
    ...guests,
    async close() {
      await guests.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return { driver, jobs };
}

machines("the driver of machines", () => {
  afterAll(async () => (await opened)?.driver.close());
  driverContract("qemu", () => (opened ??= open()));
});
