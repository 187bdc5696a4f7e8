import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openJournal, type Journal } from "./journal.ts";
import { roomProblem } from "./kept-room.ts";

const MIB = 1024 * 1024;
const DAY = 24 * 3_600_000;
const [FIRST, SECOND] = ["ab".repeat(32), "cd".repeat(32)];
const bytes = randomBytes(3 * MIB);
const blob = { digest: createHash("sha256").update(bytes).digest("hex"), size: bytes.length };

let folder: string;
let journal: Journal;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-pieces-"));
  journal = await openJournal(folder);
});
afterEach(() => rm(folder, { recursive: true }));

async function came(lease: string, customer: string, part: Uint8Array): Promise<void> {
  const arriving = await journal.arriving(lease, customer, blob);
  await arriving.append(part);
  await arriving.close();
}

it("gives what came to its customer's next lease, once, and to nobody else's", async () => {
  await came(FIRST, "carl", bytes.subarray(0, 2 * MIB));
  await journal.setAside(FIRST, "carl", Date.now());
  await journal.remove(FIRST);
  expect((await journal.arriving(SECOND, "mallory", blob)).size).toBe(0);
  await journal.remove(SECOND);
  const goesOn = await journal.arriving(SECOND, "carl", blob);
  expect(goesOn.size).toBe(2 * MIB);
  await goesOn.append(bytes.subarray(2 * MIB));
  expect(await goesOn.finish()).toBe(true);
  expect(await journal.setAsideKept("carl")).toEqual([]);
});

it("believes nothing of it: with other bytes before them the right ones come to a wrong whole, of which nothing stays", async () => {
  await came(FIRST, "carl", randomBytes(2 * MIB));
  await journal.setAside(FIRST, "carl", Date.now());
  const goesOn = await journal.arriving(SECOND, "carl", blob);
  await goesOn.append(bytes.subarray(2 * MIB));
  expect(await goesOn.finish()).toBe(false);
  expect((await journal.arriving(SECOND, "carl", blob)).size).toBe(0);
});

it("keeps no little, and the longer of two; what is old goes", async () => {
  await came(FIRST, "carl", bytes.subarray(0, MIB - 1));
  await journal.setAside(FIRST, "carl", 1);
  expect(await journal.setAsideKept("carl")).toEqual([]);
  await came(SECOND, "carl", bytes.subarray(0, 2 * MIB));
  await journal.setAside(SECOND, "carl", DAY);
  await journal.remove(FIRST);
  await came(FIRST, "eve", bytes.subarray(0, 2 * MIB));
  await journal.setAside(FIRST, "eve", 2 * DAY);
  expect((await journal.setAsideKept("carl")).map(({ customer }) => customer)).not.toContain("carl");
  expect(await journal.setAsideKept("eve")).toMatchObject([{ customer: "eve" }]);
});

it("counts as kept for its customer, and goes first where there is too much", async () => {
  await came(FIRST, "carl", bytes.subarray(0, 2 * MIB));
  await journal.setAside(FIRST, "carl", Date.now());
  const kept = await journal.setAsideKept("carl");
  expect(kept[0]?.bytes).toBeGreaterThanOrEqual(2 * MIB);
  const rules = {
    keptBytesMax: 100 * MIB,
    keptBytesOfOneMax: MIB,
    leftFreeBytes: 0,
    freeBytes: async () => 1,
    letGoOfCaches: async () => {},
  };
  expect(await roomProblem(rules, kept, "carl")).toBeNull();
  expect(await journal.setAsideKept("carl")).toEqual([]);
  expect(await readdir(path.join(folder, "pieces"))).toEqual([]);
});
