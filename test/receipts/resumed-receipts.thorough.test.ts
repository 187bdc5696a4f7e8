/** The fetch of a long receipt that broke off: the next one goes on from there where that is a beginning of what is asked for, and else not. */
import { mkdtemp, readFile, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Market, ReceiptFile, RefusedError, keepReceipt, readDocuments, type MarketClient, type ReceiptProgress } from "@xenoservers/sdk";
import { refuse, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type ReceiptVerification } from "@xenoservers/verify";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Ordering } from "../../packages/sdk/src/facade/ordering.ts";
import { keepParts } from "../../packages/sdk/src/node/receipts/receipt-parts.ts";
import { LongLease } from "./long-lease.ts";

/** More than two parts of documents. */
const CLAIMS = 520;
const DEAD = 2 ** 22 + 1;

let folder: string;
let long: LongLease;
let whole: Receipt;
const open: LongLease[] = [];

beforeAll(async () => {
  long = await LongLease.open();
  await long.claim(CLAIMS);
  await long.settle();
  whole = await long.client.read("receipt", { params: { id: long.lease } });
});
afterAll(() => long.close());
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-receipt-"));
  vi.stubEnv("XENO_HOME", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const lease of open.splice(0)) await lease.close();
  await rm(folder, { recursive: true });
});

const running = async (claims: number): Promise<LongLease> => {
  const lease = await LongLease.open();
  open.push(lease);
  await lease.claim(claims);
  return lease;
};

type Asked = { after?: string; size?: number; brief?: string };

/** What is asked for of the parts that have claims; `answer`: what becomes of an answer. */
async function whileHeard(
  { client }: LongLease,
  work: () => Promise<unknown>,
  answer = async (part: Receipt, _asked: Asked, _number: number): Promise<Receipt> => part,
): Promise<Asked[]> {
  const honest = client.read.bind(client);
  const asked: Asked[] = [];
  client.read = (async (...[name, request]: Parameters<MarketClient["read"]>) => {
    const got = await honest(name, request);
    const query = (request?.query ?? {}) as Asked;
    if (name !== "receipt" || query.brief === "true") return got;
    asked.push(query);
    return answer(got as unknown as Receipt, query, asked.length);
  }) as typeof honest;
  await work().finally(() => (client.read = honest));
  return asked;
}

const away = (): never => {
  throw new RefusedError(refuse("unavailable", { why: "no answer" }));
};
const keep = (lease: LongLease, onProgress?: (progress: ReceiptProgress) => void) => () =>
  keepReceipt(lease.client, lease.lease, 0, { onProgress });
const receipts = async (): Promise<string[]> => {
  const [home = ""] = (await readdir(folder, { recursive: true })).filter((name) => path.basename(name) === "receipts");
  return (await readdir(path.join(folder, home))).map((name) => path.join(folder, home, name));
};
const ending = async (name: string): Promise<string> => (await receipts()).find((file) => file.endsWith(name)) ?? "";

/** Broken off after so many parts. The first answer tells how long it is. */
async function brokenOff(lease: LongLease, parts = 1): Promise<void> {
  const broken = whileHeard(lease, keep(lease), async (part, _, number) => (number > 1 + parts ? away() : part));
  await expect(broken).rejects.toMatchObject({ code: "unavailable" });
  expect((await receipts()).map((file) => path.extname(file)).toSorted()).toEqual([".leaves", ".part"]);
}

async function verified(lease: LongLease): Promise<ReceiptVerification> {
  const found = await receipts();
  expect(found.map((file) => path.basename(file))).toEqual([`${lease.lease}.jsonl`]);
  return (await ReceiptFile.open(found[0]!)).verified(lease.world.services.market, {});
}
const says = ({ lines }: ReceiptVerification, check: string): string => lines.find((line) => line.check === check)?.says ?? "";

describe("a fetch that broke off", () => {
  it("is gone on with under its checkpoint, though the log has another by then, and comes to the same", async () => {
    await brokenOff(long);
    await long.world.party();
    await long.logged();
    const told: ReceiptProgress[] = [];
    const [first, ...rest] = await whileHeard(
      long,
      keep(long, (progress) => told.push(progress)),
    );
    expect(first).toEqual({ limit: 500 });
    expect(rest.map(({ after }) => after)).toEqual([whole.documents[499]!.id, whole.documents[999]!.id]);
    expect(rest.every(({ size }) => size === whole.size)).toBe(true);
    expect(await verified(long)).toEqual(verifyReceipt(crypto, long.world.services.market, whole));
    expect(told.map(({ documents }) => documents)).toEqual([1_000, whole.documents.length]);
    expect(told.every(({ documentsInAll }) => documentsInAll === whole.documents.length)).toBe(true);
    expect(told[0]!.before).toMatchObject({ documents: 500 });
  });

  it.each([0.001, 0.5, 0.9999])("is gone on with from what lies on the disk of it: %d of what came", async (part) => {
    await brokenOff(long, 2);
    const lines = await ending(".part");
    const text = await readFile(lines);
    await truncate(lines, Math.floor(text.length * part));
    await whileHeard(long, keep(long));
    expect((await verified(long)).ok).toBe(true);
  });

  it.each([
    ["another document's line", (text: string) => text.replaceAll(/\n.*\n/g, "\n{}\n")],
    ["a document twice", (text: string) => `${text}${text.split("\n")[9]}\n`],
    ["no text", () => "\u0000".repeat(100_000)],
  ])("begins anew, or where it holds, where %s lies here", async (_, change) => {
    await brokenOff(long, 2);
    const lines = await ending(".part");
    await writeFile(lines, change(await readFile(lines, "utf8")));
    await whileHeard(long, keep(long));
    expect((await verified(long)).ok).toBe(true);
  });

  it.each([
    ["is not here", () => ""],
    ["is no document", (text: string) => `\u0000${text.slice(1)}`],
  ])("lacks nothing that its documents lean on where what came of that %s", async (_, change) => {
    await brokenOff(long, 2);
    const leaves = await ending(".leaves");
    await writeFile(leaves, change(await readFile(leaves, "utf8")));
    await whileHeard(long, keep(long));
    expect((await verified(long)).ok).toBe(true);
  });

  it("writes nothing behind half of a line: that would be lost with it", async () => {
    await brokenOff(long, 2);
    const leaves = await ending(".leaves");
    const [last = "", ...others] = (await readFile(leaves, "utf8")).trimEnd().split("\n");
    // killed while that one was written, which came with the part that is asked for next
    await writeFile(leaves, `${others.join("\n")}\n${last.slice(0, 9)}`);
    const leaf = JSON.parse(last) as Receipt["leaves"][number];
    const comes = async (part: Receipt): Promise<Receipt> => ({ ...part, leaves: [...part.leaves, leaf] });
    const ends = (): never => {
      throw new Error("killed again");
    };
    await expect(whileHeard(long, keep(long, ends), comes)).rejects.toThrow("killed again");
    await whileHeard(long, keep(long));
    expect((await verified(long)).ok).toBe(true);
  });

  it("ends where its caller calls off, and goes on for the next", async () => {
    const [ends, why] = [new AbortController(), new Error("nobody waits")];
    const market = Market.of(long.client);
    const onProgress = (): void => ends.abort(why);
    await expect(market.verify(long.lease, { signal: ends.signal, onProgress })).rejects.toMatchObject({ code: "aborted", cause: why });
    const asked = await whileHeard(long, () => market.verify(long.lease));
    expect(asked[1]).toMatchObject({ after: whole.documents[499]!.id });
    expect((await verified(long)).ok).toBe(true);
  });

  it.each([
    ["a killed program's", DEAD, true],
    ["a program's that goes on", process.ppid, false],
  ])("is %s", async (_, pid, goesOn) => {
    await brokenOff(long);
    const lines = await ending(".part");
    const [text, lock] = [await readFile(lines), lines.replace(/part$/, "lock")];
    await writeFile(lock, String(pid));
    const asked = await whileHeard(long, keep(long));
    expect(asked[1]?.after).toBe(goesOn ? whole.documents[499]!.id : undefined);
    if (goesOn) return void (await verified(long));
    expect((await receipts()).map((file) => path.extname(file)).toSorted()).toEqual([".jsonl", ".leaves", ".lock", ".part"]);
    expect(await readFile(lines)).toEqual(text);
  });
});

describe("a broker that is asked for the rest", () => {
  it.each(["conflict", "not_found"] as const)("and has lost what it showed (%s) is asked from the first part again", async (code) => {
    await brokenOff(long);
    const asked = await whileHeard(long, keep(long), async (part, _, number) => {
      if (number === 2) throw new RefusedError(refuse(code));
      return part;
    });
    expect(asked[2]).toEqual({ limit: 500 });
    expect((await verified(long)).ok).toBe(true);
  });

  it("and has another log by then is asked from the first part again", async () => {
    await brokenOff(long);
    const other = ({ checkpoint, ...part }: Receipt): Receipt => ({ ...part, checkpoint: `other\n${checkpoint}` });
    const asked = await whileHeard(long, keep(long), async (part, _, number) => (number === 2 ? other(part) : part));
    expect(asked[2]).toEqual({ limit: 500 });
    expect((await verified(long)).ok).toBe(true);
  });

  it("and gives what does not follow is told so, and nothing is left to go on with", async () => {
    await brokenOff(long);
    const broken = whileHeard(long, keep(long), async (part, _, number) =>
      number === 2 ? { ...part, documents: [whole.documents[7]!, ...part.documents] } : part,
    );
    await expect(broken).rejects.toMatchObject({ code: "broken_word" });
    expect(await receipts()).toEqual([]);
  });
});

describe("a lease that ran", () => {
  it("and is over by then has all of it fetched anew", async () => {
    const lease = await running(260);
    await brokenOff(lease);
    await lease.settle();
    const asked = await whileHeard(lease, keep(lease));
    expect(asked[1]).toEqual({ limit: 500 });
    expect(says(await verified(lease), "bill")).not.toContain("not settled");
  });

  it("and runs on is shown as it stood when its fetch began", async () => {
    const lease = await running(260);
    await brokenOff(lease);
    await lease.claim(40);
    const asked = await whileHeard(lease, keep(lease));
    expect(asked[1]).toHaveProperty("after");
    const then = await verified(lease);
    expect([then.ok, says(then, "bill")]).toEqual([true, "the lease is not settled yet"]);
    expect(says(then, "log")).not.toContain("not in the log yet");
    expect((await (await ReceiptFile.open(await ending(".jsonl"))).end())?.documents).toBeLessThan(2 * 265);
    // whoever asks again is told of what came since
    await keepReceipt(lease.client, lease.lease, 0);
    expect((await (await ReceiptFile.open(await ending(".jsonl"))).end())?.documents).toBeGreaterThan(2 * 300);
  });

  it("and runs on is fetched anew where that was long ago", async () => {
    const lease = await running(260);
    await brokenOff(lease);
    await lease.claim(10);
    const lines = await ending(".part");
    const old = Date.now() / 1_000 - 2 * 3_600;
    await utimes(lines, old, old);
    const asked = await whileHeard(lease, keep(lease));
    expect(asked[1]).toEqual({ limit: 500 });
  });
});

it("what was gone on with within a week stays whole: its public documents came with its first part", async () => {
  await brokenOff(long, 2);
  const old = Date.now() / 1_000 - 8 * 24 * 3_600;
  await utimes(await ending(".leaves"), old, old);
  const asked = await whileHeard(long, keep(long));
  expect(asked[1]).toHaveProperty("after");
  expect((await verified(long)).ok).toBe(true);
});

it("what nobody went on with for a week goes", async () => {
  await brokenOff(long);
  const old = Date.now() / 1_000 - 8 * 24 * 3_600;
  for (const file of await receipts()) await utimes(file, old, old);
  const now = await readDocuments(long.client, long.lease);
  const other = path.join(path.dirname(await ending(".part")), `${"ab".repeat(32)}.jsonl`);
  await keepParts(long.client, long.lease, other, { now });
  expect((await receipts()).map((file) => path.basename(file))).toEqual([path.basename(other)]);
});

it("of a job's receipt tells whoever waits for the job how far it is", async () => {
  const told: ReceiptProgress[] = [];
  const beyond = { replicas: async ({ check }: { check: (lease: string) => Promise<unknown> }) => check(long.lease) };
  const means = { client: long.client, here: { keepReceipt }, link: {}, beyond, verify: async () => ({}) };
  const ordering = new Ordering(means as unknown as ConstructorParameters<typeof Ordering>[0]);
  const onReceipt = (progress: ReceiptProgress): void => void told.push(progress);
  await ordering.replicas({} as Parameters<Ordering["replicas"]>[0], { receiptWaitMs: 0, onReceipt });
  expect(told.at(-1)?.documents).toBe(whole.documents.length);
});
