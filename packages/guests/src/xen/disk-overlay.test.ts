/** How much a domain may write over an image, and what dom0's kernel says of it. That it does so is played on a real Xen (test/xen). */
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { NO_ROOM, growTo, overlayMib, overlayProblem, overlayTable, sweepOverlays } from "./disk-overlay.ts";
import { domainUuid } from "./domain-names.ts";

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;
const RECORDS_PER_CHUNK = CHUNK / 16;

/** What dm-snapshot takes of its file where every chunk of the disk is written (drivers/md/dm-snap-persistent.c): a head, then tables, each
 * before the chunks that it is of, and one more table begun when the last is full. */
const bytesTaken = (diskMib: number): number => {
  const chunks = (diskMib * MIB) / CHUNK;
  return (1 + Math.floor(chunks / RECORDS_PER_CHUNK) + 1 + chunks) * CHUNK;
};

describe("what a domain writes over an image", () => {
  it.each([1, 16, 255, 256, 257, 4_096, 4_097, 65_536, 16_777_216])("has room for all of a disk of %i MiB, and little more", (diskMib) => {
    expect(overlayMib(diskMib) * MIB).toBeGreaterThanOrEqual(bytesTaken(diskMib) + CHUNK);
    expect(overlayMib(diskMib)).toBeLessThanOrEqual(diskMib * 1.001 + 2);
  });

  it("is a table of one line, which keeps what was written for the next", () => {
    expect(overlayTable(32, "/dev/loop0", "/dev/loop1")).toBe("0 65536 snapshot /dev/loop0 /dev/loop1 P 128");
  });

  it.each([
    ["0 65536 snapshot 16/67584 16\n", null],
    ["0 65536 snapshot 67584/67584 512", null],
    ["0 65536 snapshot Invalid\n", NO_ROOM],
    ["0 65536 snapshot Overflow", NO_ROOM],
  ])("is said by dom0's kernel to be whole or lost: %s", (status, problem) => {
    expect(overlayProblem(status)).toBe(problem);
  });
});

it("an image's file is made longer for a larger disk, and never shorter", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-overlay-"));
  const file = path.join(folder, "base.raw");
  await writeFile(file, "boot");
  for (const [mib, size] of [
    [2, 2],
    [1, 2],
    [3, 3],
  ] as const) {
    growTo(file, mib * MIB);
    expect((await stat(file)).size).toBe(size * MIB);
  }
  await rm(folder, { recursive: true });
});

it("one that an earlier daemon left is let go of, and one that goes with its domain just then keeps no server from starting", async () => {
  const all = ["one", "two"].map((name) => ({ name, uuid: domainUuid("mark", name) }));
  all.push({ name: "other", uuid: domainUuid("another server's", "other") });
  const asked: string[] = [];
  const dm = {
    overlays: async () => [...all],
    letGo: async (name: string) => {
      asked.push(name);
      if (name === "one") all.shift();
      throw new Error("Device does not exist.");
    },
  };
  await expect(sweepOverlays("mark", dm)).rejects.toThrow("does not exist"); // of the second, which is there still
  expect(asked).toEqual(["one", "two"]);
  all.shift();
  await sweepOverlays("mark", dm);
  expect(asked).toEqual(["one", "two"]);
});
