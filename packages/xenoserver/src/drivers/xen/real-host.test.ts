/**
 * The suite of all drivers in dom0 of a real Xen hypervisor, with an image of BusyBox (an OCI image layout) that somebody names by
 * XENO_XEN_IMAGE: skipped loudly where nobody does. `test/xen/contract.test.ts` runs it in the dom0 that is emulated here.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { markIn, openXenHost } from "@xenoservers/guests";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { buildVm, openImage } from "@xenoservers/sdk";
import { fakeJob } from "../../testing/fake-customer.ts";
import { orderedFor } from "../../testing/ordered.ts";
import type { GuestDriver, GuestJob } from "../driver.ts";
import { driverContract } from "../driver-contract.ts";
import { createXenDriver } from "./xen-driver.ts";

const { XENO_XEN_IMAGE } = process.env;
if (XENO_XEN_IMAGE === undefined) console.warn("no driver was tried in a real dom0: XENO_XEN_IMAGE names no image");

const RESOURCES = { vcpu: 1, memoryMib: 160, diskMib: 64 };
/** Beside the domain's own. */
const OVERHEAD_MIB = 16;
const NO_NETWORK = { network: false, egress: "none" } as const;

describe.skipIf(XENO_XEN_IMAGE === undefined)("in dom0", () => {
  let folder: string;
  let driver: GuestDriver;
  let image: Awaited<ReturnType<typeof openImage>>;
  let last = 0;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-real-host-"));
    const state = await openXenHost("pv", { mark: await markIn(path.join(folder, "xen/domains")), cache: path.join(folder, "cache") });
    if (!state.ok) throw new Error(state.why);
    image = await openImage(`oci:${XENO_XEN_IMAGE}`, path.join(folder, "oci"));
    for (const { blob } of image.layers) await writeFile(path.join(folder, blob.digest), await blob.read(0, blob.size));
    driver = await createXenDriver({
      ...{ host: state.host, folder: path.join(folder, "xen"), inUse: [], crypto: nodeCrypto, imageCacheGib: 1, diskIops: 2_000 },
      ...{ snapshots: { gib: 1, hours: 1 }, egress: { ports: [], allow: [], bytesPerSecondMax: 1, gibPerMonth: 0 } },
      ...{ recordFolder: path.join(folder, "vm"), log: (what, facts) => console.error(what, facts) },
    });
  });
  afterAll(async () => {
    await driver.close();
    await rm(folder, { recursive: true, force: true });
  });

  function jobOf(script: string): GuestJob {
    const layers = image.layers.map(({ blob, compression }) => ({ digest: blob.digest, compression }));
    const process = { args: ["sh", "-c", script], env: [], workdir: "/", user: "root", hostname: "" };
    const { spec, inputs, sizes, jobHash } = buildVm({
      vm: { kind: "oci", image: image.digest.slice(7), layers, ...process },
      ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, ...RESOURCES, outputMibMax: 4, ...NO_NETWORK },
      ...{ engine: null, fuelMax: 1n, blobs: image.layers.map(({ blob }) => blob) },
      mounts: [{ mount: { path: "/out", writable: true, keep: true }, entries: [] }],
    });
    const resources = { ...RESOURCES, memoryMib: RESOURCES.memoryMib + OVERHEAD_MIB };
    return {
      ...orderedFor({ jobHash, driver: "xen", resources, fuelMax: "1" }),
      ...{ lease: (++last).toString(16).padStart(24, "0") + "d".repeat(40), work: { kind: "machine", vm: { spec, inputs, blobs: sizes } } },
      ...{ fuelMax: 1n, runMsMax: 600_000, egressBytesUsed: () => 0, trace: null },
      blobFile: (digest) => path.join(folder, digest),
    };
  }

  driverContract("xen", async () => ({
    driver,
    jobs: {
      foreign: { kind: "wasm", job: fakeJob(["run"]).job },
      prints: async (text, exit, ms) => jobOf(`printf ${text}; printf ${text} >/out/file; sleep ${ms / 1_000}; exit ${exit}`),
    },
  }));
});
