import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { pruneKept, touchKept } from "./kept-room.ts";

const NOW = 1_000_000_000_000;
const HOUR_MS = 3_600_000;

let data: string;
beforeEach(async () => {
  data = await mkdtemp(path.join(tmpdir(), "xeno-kept-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

async function kept(file: string, bytes: number, hoursAgo: number): Promise<void> {
  const at = path.join(data, file);
  await mkdir(path.dirname(at), { recursive: true });
  await writeFile(at, Buffer.alloc(bytes));
  const when = new Date(NOW - hoursAgo * HOUR_MS);
  await utimes(at, when, when);
}
const left = async (): Promise<string[]> =>
  (await readdir(data, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(data, path.join(entry.parentPath, entry.name)))
    .toSorted();
const prune = (bytesMax: number): Promise<void> => pruneKept(data, NOW, { bytesMax, spareMs: HOUR_MS });

it("drops what was used least lately, whatever it is, until the rest is within the bound", async () => {
  await kept("oci/a", 10, 5);
  await kept("oci/b", 10, 2);
  await kept("blobs/c", 10, 4);
  await kept("jobs/d/job.json", 10, 3);
  await prune(40);
  expect(await left()).toHaveLength(4);
  await prune(39);
  expect(await left()).toEqual(["blobs/c", "jobs/d/job.json", "oci/b"]);
  await prune(25);
  expect(await left()).toEqual(["jobs/d/job.json", "oci/b"]);
});

it("never drops receipts, what was signed, promises or keys, nor what was used lately", async () => {
  const never = ["receipts/r.json", "promises/2026-01.0000.jsonl", "documents/x.jsonl", "contexts.json", "other"];
  for (const file of never) await kept(file, 100, 1_000);
  await kept("oci/now", 100, 0.5);
  await kept("oci/old", 1, 2);
  await prune(0);
  expect(await left()).toEqual([...never, "oci/now"].toSorted());
});

it("knows what is used again, and goes on where nothing is there", async () => {
  await prune(0);
  await touchKept(path.join(data, "oci", "nothing"));
  await kept("oci/a", 10, 5);
  await kept("oci/b", 10, 4);
  await touchKept(path.join(data, "oci", "a"));
  await prune(10);
  expect(await left()).toEqual(["oci/a"]);
});
