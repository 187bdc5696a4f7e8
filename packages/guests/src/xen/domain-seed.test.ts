/** The disk that tells cloud-init, read by rules of another. That a domain finds it is played on a real Xen (test/xen). */
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { seedFiles } from "../../../../test/xapi/seed-script.ts";
import { writeSeed } from "./domain-seed.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-seed-"));
});
afterEach(() => rm(folder, { recursive: true }));

const told = (...names: ("user-data" | "meta-data")[]): Promise<void> =>
  writeSeed(
    names.map((name) => ({ name, digest: name })),
    { blobFile: (digest) => path.join(folder, digest), to: path.join(folder, "seed.raw") },
  );

it("holds what the order says, by its names", async () => {
  await writeFile(path.join(folder, "user-data"), "#cloud-config\n");
  await writeFile(path.join(folder, "meta-data"), "{}\n");
  await told("user-data", "meta-data");
  const files = seedFiles(await readFile(path.join(folder, "seed.raw")));
  expect([...files].map(([name, bytes]) => [name, bytes.toString()])).toEqual([
    ["meta-data", "{}\n"],
    ["user-data", "#cloud-config\n"],
  ]);
});

it("is not made where nothing is told", async () => {
  await told();
  expect(await readdir(folder)).toEqual([]);
});

it("is refused where it is more than a seed may be", async () => {
  await writeFile(path.join(folder, "user-data"), "");
  await truncate(path.join(folder, "user-data"), 1024 ** 3);
  await expect(told("user-data")).rejects.toMatchObject({ name: "Refusal", fault: "job" });
});
