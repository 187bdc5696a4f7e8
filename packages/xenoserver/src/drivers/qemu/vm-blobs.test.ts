/** What a machine begins with, where another lease of its customer's had it forgotten meanwhile. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ImageStore } from "@xenoservers/guests";
import { expect, it, onTestFinished } from "vitest";
import { endOfRefused } from "../refused.ts";
import { VmBlobs } from "./vm-blobs.ts";
import type { VmJob } from "./vm-job.ts";
import type { SnapshotStore } from "./vm-snapshots.ts";

const KERNEL = "ab".repeat(32);
const CUSTOMER = `p_${"1".repeat(40)}`;

it("is no server's failure where another lease of its customer's had it forgotten, and its own where it came", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-blobs-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const images = new ImageStore({ folder: path.join(folder, "images"), bytesMax: 1e6, isPublic: null });
  const blobs = new VmBlobs(images, {} as SnapshotStore);
  const sent = path.join(folder, KERNEL);
  const vm = { kind: "kernel", kernel: KERNEL, initrd: null, cmdline: "" };
  const job = { customer: CUSTOMER, spec: { vm }, blobFile: () => sent } as unknown as VmJob;
  await writeFile(sent, "kernel");
  await blobs.find(job);
  expect(await images.find(CUSTOMER, KERNEL)).not.toBeNull();
  await rm(sent);
  await expect(blobs.find(job)).resolves.toBeTypeOf("function");
  await images.forget(CUSTOMER, KERNEL);
  const failure: unknown = await blobs.find(job).catch((error: unknown) => error);
  expect(endOfRefused(failure)).toMatchObject({ reason: "job-refused", detail: expect.stringContaining("order it again") as string });
});
