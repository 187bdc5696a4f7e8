/** Customers' qcow2 images for a pool of hosts: its twin gets what qemu-img reads in its box, and nothing else of this machine. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readdir, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { RefusedWork } from "../../packages/xenoserver/src/drivers/refused.ts";
import { bench, diskOf, jobIn, type Bench } from "../xapi/support.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

let at: Bench;
let blobs: string;
let file: string;
beforeEach(async () => {
  at = await bench();
  blobs = path.join(at.folder, "blobs");
  file = path.join(blobs, "image");
});
afterEach(() => at.close());

async function qcow2(mib: number, words: readonly string[] = []): Promise<void> {
  const raw = path.join(blobs, "plain");
  await writeFile(raw, "the customer's system");
  await truncate(raw, mib * MIB);
  await run("qemu-img", ["convert", "-q", ...words, "-O", "qcow2", raw, file]);
}

async function prepared(diskMib = 8) {
  const { driver } = await at.open();
  const disk = await diskOf(file, "qcow2");
  const job = await jobIn(blobs, "a".repeat(64), { disk, script: ["file stdout whole", "exit 3"], more: { diskMib } });
  expect(driver.problemWith(job.work, { po: job.po, order: job.order })).toBeNull();
  return driver.prepare(job);
}

const scratches = (): Promise<string[]> => readdir(path.join(at.folder, "xapi", "converting"));
const written = (): Buffer[] => [...at.twin.world.disks.values()].filter((disk) => disk.subarray(0, 3).toString() === "the");

it.each([[[]], [["-c"]], [["-o", "extended_l2=on,cluster_size=128k"]]])("boots one that was made with %j", async (words) => {
  await qcow2(6, words);
  const guest = await (await prepared()).begin();
  const [template] = written();
  const plain = Buffer.alloc(6 * MIB);
  plain.write("the customer's system");
  expect(createHash("sha256").update(template!).digest("hex")).toBe(createHash("sha256").update(plain).digest("hex"));
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
  expect((await scratches()).filter((name) => name.startsWith("convert-"))).toEqual([]);
});

const REFUSED: [name: string, make: () => Promise<void>, why: string][] = [
  ["is larger than the disk that was ordered", () => qcow2(16), "order more with --disk"],
  [
    "lies over a file of this machine",
    async () => void (await run("qemu-img", ["create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", file, "1M"])),
    "backing file",
  ],
  [
    "was cut off",
    async () => {
      await qcow2(6);
      await truncate(file, 400);
    },
    "image",
  ],
];

it.each(REFUSED)("refuses in words one that %s, and leaves nothing of it here or in the pool", async (_, make, why) => {
  await make();
  const error: unknown = await prepared().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RefusedWork);
  expect((error as Error).message).toContain(why);
  expect((await scratches()).filter((name) => name.startsWith("convert-"))).toEqual([]);
  expect([at.twin.db.all("vm"), at.twin.db.all("vdi")]).toEqual([[], []]);
});
