import { createHash, randomBytes } from "node:crypto";
import { linkSync } from "node:fs";
import { appendFile, mkdir, mkdtemp, open, readFile, readdir, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Envelope } from "@xenoservers/protocol";
import { ifThere } from "@xenoservers/protocol/files";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newRecord, openJournal, type Journal } from "./journal.ts";
import { roomProblem, type RoomRules } from "./kept-room.ts";

const MIB = 1024 * 1024;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** More than any usual file system gives one file. */
const NAMES_MAX = 66_000;
const [FIRST, SECOND, THIRD] = ["ab".repeat(32), "cd".repeat(32), "ef".repeat(32)];
const CARL = { customer: "carl", account: "a_1" };
const MALLORY = { customer: "mallory", account: "a_1" };
const acceptance = { payloadType: "", payload: "", signatures: [{ keyid: "", sig: "" }] } satisfies Envelope;

const brought = (mib: number) => {
  const bytes = randomBytes(mib * MIB);
  return { bytes, blob: { digest: createHash("sha256").update(bytes).digest("hex"), size: bytes.length } };
};
const { bytes, blob } = brought(3);

let folder: string;
let journal: Journal;
let now: number;
let bytesMax: number;
let spoiled: string[];

const openHere = (): Promise<Journal> =>
  openJournal(folder, {
    inputs: () => ({ bytesMax, keepMs: DAY }),
    now: () => now,
    spoiled: (_, digest) => void spoiled.push(digest),
  });

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-inputs-"));
  [now, bytesMax, spoiled] = [1_000 * DAY, 100 * MIB, []];
  journal = await openHere();
});
afterEach(() => rm(folder, { recursive: true }));

/** What came of it when its customer left. */
async function came(lease: string, bringer: typeof CARL, part: Uint8Array): Promise<void> {
  const arriving = await journal.arriving(lease, bringer, blob, true);
  await arriving.append(part);
  await arriving.close();
}

/** How much of it was there, and whether it is right. */
async function brings(lease: string, bringer: typeof CARL, of = { bytes, blob }, keeps = true): Promise<[there: number, isRight: boolean]> {
  const arriving = await journal.arriving(lease, bringer, of.blob, keeps);
  const there = arriving.size;
  if (there < of.bytes.length) await arriving.append(of.bytes.subarray(there));
  return [there, await arriving.finish()];
}

const file = (lease: string): string => journal.blobFile(lease, blob.digest);
const kept = async (customer = "carl"): Promise<string[]> => (await journal.keptInputs(customer)).map((each) => each.customer);
/** Where the file lies that is kept. */
async function keptFile(): Promise<string> {
  const all = await readdir(path.join(folder, "inputs"), { recursive: true, withFileTypes: true });
  const found = all.find((each) => each.isFile());
  return path.join(found?.parentPath ?? "", found?.name ?? "");
}

it("has what an ended lease brought for its customer's next one, and for nobody else's", async () => {
  expect(await brings(FIRST, CARL)).toEqual([0, true]);
  await journal.remove(FIRST);
  expect(await brings(SECOND, MALLORY)).toEqual([0, true]);
  expect(await brings(THIRD, CARL)).toEqual([blob.size, true]);
  // a key of another account of the same party brings its own
  await journal.remove(THIRD);
  expect(await brings(THIRD, { ...CARL, account: "a_2" })).toEqual([0, true]);
});

it("is not read again by leases that come soon, whichever of those before them are gone", async () => {
  await brings(FIRST, CARL);
  const handle = await open(await keptFile(), "r");
  const reads = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, "read");
  await handle.close();
  await journal.remove(FIRST);
  for (const lease of [SECOND, THIRD]) {
    expect(await brings(lease, CARL)).toEqual([blob.size, true]);
    expect(await journal.hasBlob(lease, blob)).toBe(true);
    await journal.remove(lease);
  }
  expect(reads).not.toHaveBeenCalled();
  reads.mockRestore();
});

it("gives one file to as many leases as want it at once, each with a name of its own that outlives the others", async () => {
  await brings(FIRST, CARL);
  const both = await Promise.all([SECOND, THIRD].map((lease) => brings(lease, CARL)));
  expect(both).toEqual([
    [blob.size, true],
    [blob.size, true],
  ]);
  expect((await stat(file(SECOND))).ino).toBe((await stat(file(THIRD))).ino);
  await journal.remove(FIRST);
  await journal.forgetInputs(SECOND, CARL);
  await journal.remove(SECOND);
  expect(await readFile(file(THIRD))).toEqual(bytes);
});

it("is kept once where two leases brought the same at the same time", async () => {
  const first = await journal.arriving(FIRST, CARL, blob, true);
  const second = await journal.arriving(SECOND, CARL, blob, true);
  for (const each of [first, second]) await each.append(bytes);
  expect(await Promise.all([first.finish(), second.finish()])).toEqual([true, true]);
  expect(await kept()).toEqual(["carl"]);
});

it("gives what came of a job that never ran to its customer's next lease, once, and to nobody else's", async () => {
  await came(FIRST, CARL, bytes.subarray(0, 2 * MIB));
  await journal.setAside(FIRST, CARL);
  await journal.remove(FIRST);
  expect((await journal.arriving(SECOND, MALLORY, blob, true)).size).toBe(0);
  await journal.remove(SECOND);
  expect(await brings(SECOND, CARL)).toEqual([2 * MIB, true]);
  expect(await kept()).toEqual(["carl"]);
});

it("believes nothing of it: with other bytes before them the right ones come to a wrong whole, of which nothing stays", async () => {
  await came(FIRST, CARL, randomBytes(2 * MIB));
  await journal.setAside(FIRST, CARL);
  expect(await brings(SECOND, CARL)).toEqual([2 * MIB, false]);
  expect((await journal.arriving(SECOND, CARL, blob, true)).size).toBe(0);
});

const damages: [string, (at: string) => Promise<void>][] = [
  [
    "changed, with its times as they were",
    async (at) => {
      const { atime, mtime } = await stat(at);
      const handle = await open(at, "r+");
      await handle.write(Buffer.of(bytes[MIB]! ^ 0xff), 0, 1, MIB); // whatever stood there
      await handle.close();
      await utimes(at, atime, mtime);
    },
  ],
  ["cut off", (at) => truncate(at, MIB)],
  ["longer", (at) => appendFile(at, "x")],
  ["zeros", (at) => writeFile(at, Buffer.alloc(3 * MIB))],
  ["gone", (at) => rm(at)],
];
it.each(damages)("is found out where it was %s meanwhile, and comes again", async (_, damage) => {
  await brings(FIRST, CARL);
  await journal.remove(FIRST);
  const at = await keptFile();
  const { ctimeNs } = await stat(at, { bigint: true });
  // until the clock of the file system's times has gone on
  do await damage(at);
  while ((await ifThere(stat(at, { bigint: true })))?.ctimeNs === ctimeNs);
  const [there, isRight] = await brings(SECOND, CARL);
  if (!isRight) {
    expect([there, spoiled]).toEqual([blob.size, [blob.digest]]);
    expect(await brings(SECOND, CARL)).toEqual([0, true]);
  } else expect(there).toBe(0);
  await journal.remove(SECOND);
  expect(await brings(THIRD, CARL)).toEqual([blob.size, true]);
});

it("is written to by nobody: who names another size than it has brings it anew, and changes no other lease's", async () => {
  await brings(FIRST, CARL);
  await brings(SECOND, CARL);
  for (const [lease, size] of [
    [SECOND, blob.size + 1],
    [THIRD, blob.size + 1],
    [THIRD, blob.size - 1],
  ] as const) {
    const arriving = await journal.arriving(lease, CARL, { ...blob, size }, true);
    expect(arriving.size).toBe(0);
    await arriving.append(new Uint8Array(size));
    expect(await arriving.finish()).toBe(false);
  }
  expect(await readFile(file(FIRST))).toEqual(bytes);
  await journal.remove(THIRD);
  expect(await brings(THIRD, CARL)).toEqual([blob.size, true]);
});

it("is there after a restart, and what a killed daemon left half-way is not in the way", async () => {
  await brings(FIRST, CARL);
  await journal.remove(FIRST);
  const entry = path.dirname(await keptFile());
  await mkdir(`${entry.slice(0, -1)}x`);
  journal = await openHere();
  expect(await kept()).toEqual(["carl"]);
  expect(await readdir(path.dirname(entry))).toEqual([path.basename(entry)]);
  expect(await brings(SECOND, CARL)).toEqual([blob.size, true]);
});

it("keeps no little, and the longer of two; what was not used for long goes", async () => {
  await brings(FIRST, CARL, brought(0));
  await came(FIRST, CARL, bytes.subarray(0, MIB - 1));
  await journal.setAside(FIRST, CARL);
  expect(await kept()).toEqual([]);
  await came(SECOND, CARL, bytes.subarray(0, 2 * MIB));
  await came(THIRD, CARL, bytes.subarray(0, MIB));
  for (const lease of [SECOND, THIRD]) await journal.setAside(lease, CARL);
  await journal.remove(FIRST);
  now += DAY - HOUR;
  expect(await brings(FIRST, CARL)).toEqual([2 * MIB, true]);
  now += DAY - HOUR;
  await journal.pruneInputs();
  expect(await kept()).toEqual(["carl"]);
  now += 2 * HOUR;
  await journal.pruneInputs();
  expect(await kept()).toEqual([]);
});

it("is kept from its last use, by this daemon's or an earlier one's, and for no longer by a clock that was ahead", async () => {
  now += 300 * DAY;
  await brings(FIRST, CARL);
  await journal.remove(FIRST);
  now -= 300 * DAY;
  journal = await openHere();
  await journal.pruneInputs();
  expect(await kept()).toEqual(["carl"]);
  now += DAY - HOUR;
  expect(await brings(SECOND, CARL)).toEqual([blob.size, true]);
  journal = await openHere();
  now += DAY - HOUR;
  await journal.pruneInputs();
  expect(await kept()).toEqual(["carl"]);
  now += 2 * HOUR;
  await journal.pruneInputs();
  expect(await kept()).toEqual([]);
});

it("has the owner's room, of which one customer has half; what was not used for longest goes", async () => {
  bytesMax = 16 * MIB;
  const all = [3, 3, 3].map(brought);
  await brings(FIRST, MALLORY, brought(4));
  for (const [i, each] of all.entries()) {
    now += HOUR;
    await brings(FIRST, CARL, each);
    now += HOUR;
    // the first is used again
    if (i === 1) await brings(SECOND, CARL, all[0]);
  }
  for (const lease of [FIRST, SECOND]) await journal.remove(lease);
  const there = await Promise.all(all.map(async (each) => (await journal.arriving(THIRD, CARL, each.blob, true)).size / MIB));
  expect(there).toEqual([3, 0, 3]);
  expect((await kept("mallory")).filter((customer) => customer === "mallory")).toHaveLength(1);
  expect((await brings(THIRD, CARL, brought(9)))[1]).toBe(true);
  expect(await kept()).toHaveLength(3); // larger than its share: in nobody's place
  bytesMax = 0;
  await journal.pruneInputs();
  expect(await kept()).toEqual([]);
  await brings(THIRD, CARL);
  await came(SECOND, CARL, bytes.subarray(0, 2 * MIB));
  await journal.setAside(SECOND, CARL);
  expect(await kept()).toEqual([]);
});

it("is of nobody who wishes that it is not kept", async () => {
  expect(await brings(FIRST, CARL, undefined, false)).toEqual([0, true]);
  expect(await kept()).toEqual([]);
  await brings(SECOND, CARL);
  // what was brought before serves the lease that wishes so, and then goes
  expect(await brings(THIRD, CARL, undefined, false)).toEqual([blob.size, true]);
  await journal.forgetInputs(THIRD, CARL);
  expect(await kept()).toEqual([]);
  expect(await readFile(file(THIRD))).toEqual(bytes);
});

/** What was reported of other programs' caches (ADR 102), each tried on this one. */
describe("what befell others", () => {
  it("is no end of a lease where a file can have no more names (NixOS/nix 1522): it comes again, and is kept as it came", async () => {
    await brings(FIRST, CARL);
    const names = path.join(folder, "names");
    await mkdir(names);
    const at = file(FIRST);
    for (let i = 0; i < NAMES_MAX; i++)
      try {
        linkSync(at, path.join(names, `${i}`));
      } catch {
        break; // as many as this file system gives
      }
    const [there, isRight] = await brings(SECOND, CARL);
    expect(isRight).toBe(true);
    expect([0, blob.size]).toContain(there);
    expect(await brings(THIRD, CARL)).toEqual([blob.size, true]);
  });

  it("is no entry that is wrong for good (NixOS/nix 3230): what comes right takes the place of what was damaged", async () => {
    await brings(FIRST, CARL);
    const bad = await keptFile();
    await writeFile(bad, Buffer.alloc(3 * MIB));
    // brought by a lease that began before the damage was found
    const late = await journal.arriving(SECOND, MALLORY, blob, true);
    await late.append(bytes);
    expect(await late.finish()).toBe(true);
    expect(await brings(THIRD, CARL)).toEqual([blob.size, false]);
    expect(await brings(THIRD, CARL)).toEqual([0, true]);
    expect(await readFile(file(THIRD))).toEqual(bytes);
  });

  it("is no second name of a file that is still written (NixOS/nix 14599)", async () => {
    const arriving = await journal.arriving(FIRST, CARL, blob, true);
    await arriving.append(bytes.subarray(0, 2 * MIB));
    expect(await brings(SECOND, CARL)).toEqual([0, true]);
    await arriving.append(bytes.subarray(2 * MIB));
    expect(await arriving.finish()).toBe(true);
    for (const lease of [FIRST, SECOND]) expect(await readFile(file(lease))).toEqual(bytes);
  });

  it("is nothing wrong that was kept for a fault on the way (bazel 6126, 4276)", async () => {
    const arriving = await journal.arriving(FIRST, CARL, blob, true);
    await arriving.append(randomBytes(blob.size));
    expect(await arriving.finish()).toBe(false);
    expect(await kept()).toEqual([]);
  });

  it("is nothing empty for whoever comes at the same time as another (moby/buildkit 7088)", async () => {
    await brings(FIRST, CARL);
    await journal.remove(FIRST);
    const leases = Array.from({ length: 8 }, (_, i) => `${i}${SECOND.slice(1)}`);
    expect(await Promise.all(leases.map((lease) => brings(lease, CARL)))).toEqual(leases.map(() => [blob.size, true]));
  });
});

it("counts as kept for its customer, once with the leases that have it, and goes first where there is too much", async () => {
  await brings(FIRST, CARL);
  await brings(SECOND, CARL);
  const leases = await Promise.all(
    [FIRST, SECOND].map(async (lease, overAt) => {
      const taken = await journal.bytes(newRecord({ lease, grants: [], facts: [], acceptance, incarnation: 0 }));
      return { lease, customer: "carl", ...taken, overAt, isSpare: false, letGo: async () => false };
    }),
  );
  expect(leases.map((each) => each.bytes)).toEqual([0, 0]);
  const rules: RoomRules = {
    ...{ keptBytesMax: 100 * MIB, keptBytesOfOneMax: 4 * MIB, leftFreeBytes: 0 },
    ...{ freeBytes: async () => 1, letGoOfCaches: async () => {} },
  };
  const inputs = await journal.keptInputs("carl");
  expect(await roomProblem(rules, [...leases, ...inputs], "carl")).toBeNull();
  expect(await kept()).toEqual(["carl"]);
  // what may be doubted stays with its lease
  expect(await roomProblem({ ...rules, keptBytesOfOneMax: MIB }, [...leases, ...inputs], "carl")).toMatchObject({ isCustomers: true });
  expect(await kept()).toEqual([]);
  expect(await readFile(file(FIRST))).toEqual(bytes);
  await brings(THIRD, MALLORY);
  const others = await journal.keptInputs("carl");
  expect(others.map(({ customer }) => customer)).not.toContain("mallory");
  expect(await roomProblem({ ...rules, keptBytesMax: MIB }, others, "carl")).toBeNull();
  expect(await readdir(path.join(folder, "inputs"))).toEqual([]);
});

it("is not kept anew by a lease that has it from there, where its customer wished it forgotten meanwhile", async () => {
  await brings(FIRST, CARL);
  const second = await journal.arriving(SECOND, CARL, blob, true);
  await journal.forgetInputs(FIRST, CARL);
  expect(await second.finish()).toBe(true);
  expect(await kept()).toEqual([]);
});
