import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import type { Envelope } from "@xenoservers/protocol";
import { newRecord, openJournal } from "./journal.ts";

const KEEPING = { inputs: () => ({ bytesMax: 1e9, keepMs: 1e9 }) };
const CARL = { customer: "p_carl", account: "a_carl" };
const acceptance = { payloadType: "", payload: "", signatures: [{ keyid: "", sig: "" }] } satisfies Envelope;

it("takes a blob before the record was saved, and knows right bytes from wrong ones", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const journal = await openJournal(folder, KEEPING);
  const [lease, digest] = ["cd".repeat(32), "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"]; // sha256 of "x"
  const whole = { digest, size: 1 };
  for (const [bytes, isRight] of [
    ["y", false],
    ["x", true],
  ] as const) {
    const blob = await journal.arriving(lease, CARL, whole, true);
    expect(blob.size).toBe(0); // nothing of the wrong one stays
    await blob.append(new TextEncoder().encode(bytes));
    expect(await blob.finish()).toBe(isRight);
    expect(await journal.hasBlob(lease, whole)).toBe(isRight);
  }
  await rm(folder, { recursive: true });
});

it("saves one record at a time, the last state last, however many ask at once", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const journal = await openJournal(folder, KEEPING);
  const record = newRecord({ lease: "ab".repeat(32), grants: [], facts: [], acceptance, incarnation: 0 });
  const saves: Promise<void>[] = [];
  for (let i = 1; i <= 50; i++) {
    record.incarnation = i;
    saves.push(journal.save(record));
    if (i % 7 === 0) await Promise.resolve();
  }
  await Promise.all(saves);
  expect(JSON.parse(await readFile(path.join(folder, "leases", record.lease, "lease.json"), "utf8"))).toMatchObject({ incarnation: 50 });
  expect((await journal.load()).map(({ incarnation }) => incarnation)).toEqual([50]);
  await rm(folder, { recursive: true });
});

it("says what a lease takes of the disk, its guest's folder included, and no longer than it is there", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const journal = await openJournal(folder, KEEPING);
  const guests = path.join(folder, "guest");
  await mkdir(path.join(guests, "out"), { recursive: true });
  await writeFile(path.join(guests, "out", "result"), Buffer.alloc(300_000, 1));
  const record = newRecord({ lease: "ab".repeat(32), grants: [], facts: [], acceptance, incarnation: 0 });
  const blob = await journal.arriving(record.lease, CARL, { digest: "cd".repeat(32), size: 300_000 }, true);
  await blob.append(new Uint8Array(200_000).fill(1));
  await blob.close();
  const taken = async (): Promise<number> => (await journal.bytes(record)).bytes;
  const own = await taken();
  expect(own).toBeGreaterThanOrEqual(200_000);
  expect(own).toBeLessThan(300_000);
  record.guest = { token: { folder: guests }, startedMonotonicMs: 0, pausedMs: 0 };
  expect(await taken()).toBeGreaterThanOrEqual(own + 300_000);
  // as a guest's files are named that may be set apart from its process's
  record.guest = { token: { folder: `${guests}.1` }, startedMonotonicMs: 0, pausedMs: 0 };
  expect(await taken()).toBeGreaterThanOrEqual(own + 300_000);
  await mkdir(`${guests}.1`);
  await writeFile(path.join(`${guests}.1`, "progress"), "xx");
  expect(await taken()).toBeLessThan(own + 300_000);
  await journal.remove(record.lease);
  for (const each of [guests, `${guests}.1`]) await rm(each, { recursive: true });
  expect(await taken()).toBe(0);
  await rm(folder, { recursive: true });
});

it("gives each offer a number of its own, however many ask at once, and goes on after a restart", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const journal = await openJournal(folder, KEEPING);
  expect(await journal.lastOfferSequence()).toBe(0);
  const numbers = await Promise.all(Array.from({ length: 20 }, () => journal.nextOfferSequence()));
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  const later = await openJournal(folder, KEEPING);
  expect(await later.lastOfferSequence()).toBe(20);
  expect(await later.nextOfferSequence()).toBe(21);
  await rm(folder, { recursive: true });
});

it("sets a lease aside whose record is damaged, says where it lies, and goes on with the others", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const told: [lease: string, movedTo: string][] = [];
  const journal = await openJournal(folder, { ...KEEPING, damaged: (...each) => void told.push(each) });
  const whole = newRecord({ lease: "cd".repeat(32), grants: [], facts: [], acceptance, incarnation: 0 });
  await journal.save(whole);
  const lease = "ab".repeat(32);
  for (const [i, text] of ["", '{"lease":', "[]"].entries()) {
    await mkdir(path.join(folder, "leases", lease), { recursive: true });
    await writeFile(path.join(folder, "leases", lease, "lease.json"), text);
    expect((await journal.load()).map((each) => each.lease)).toEqual([whole.lease]);
    expect(told.map(([id]) => id)).toEqual(Array.from({ length: i + 1 }, () => lease));
    expect(await readFile(path.join(told[i]?.[1] ?? "", "lease.json"), "utf8")).toBe(text);
  }
  await rm(folder, { recursive: true });
});

it("forgets no lease whose record it cannot read, and counts no offers anew where it cannot read how many there were", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-journal-"));
  const journal = await openJournal(folder, KEEPING);
  const lease = path.join(folder, "leases", "ab".repeat(32));
  await mkdir(path.join(lease, "lease.json"), { recursive: true }); // as what fails to be read
  await expect(journal.load()).rejects.toThrow("EISDIR");
  expect(await readdir(lease)).toEqual(["lease.json"]);
  await rm(path.join(lease, "lease.json"), { recursive: true });
  expect(await journal.load()).toEqual([]); // nothing of it was signed
  expect(await readdir(path.join(folder, "leases"))).toEqual([]);
  expect(await journal.nextOfferSequence()).toBe(1);
  await writeFile(path.join(folder, "offer-sequence"), "x");
  await expect(journal.nextOfferSequence()).rejects.toThrow(/offer-sequence is damaged: remove it/);
  await expect(journal.lastOfferSequence()).rejects.toThrow(/offer-sequence is damaged: remove it/);
  await rm(path.join(folder, "offer-sequence"));
  await mkdir(path.join(folder, "offer-sequence"));
  await expect(journal.nextOfferSequence()).rejects.toThrow("EISDIR");
  await rm(folder, { recursive: true });
});
