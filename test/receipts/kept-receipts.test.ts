/** A receipt that came in parts, where it is kept: found, shown and taken again as any other, and in nobody's way. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { Market, ReceiptFile, isLongReceipt, keepParts, keepReceipt, readReceipt, type MarketClient } from "@xenoservers/sdk";
import type { Receipt } from "@xenoservers/protocol";
import { nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type ReceiptVerification } from "@xenoservers/verify";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Typed } from "../../packages/cli/src/typed.fixture.ts";
import { keptRuns } from "../../packages/sdk/src/node/kept-runs.ts";
import { LongLease } from "./long-lease.ts";

/** More than one part of documents. */
const CLAIMS = 260;

let long: LongLease;
let whole: Receipt;
let folder: string;
let file: string;
let honest: MarketClient["read"];

beforeAll(async () => {
  long = await LongLease.open();
  await long.claim(CLAIMS);
  await long.settle();
  honest = long.client.read.bind(long.client);
  whole = await honest("receipt", { params: { id: long.lease } });
});
afterAll(() => long.close());
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-receipt-"));
  file = path.join(folder, "long.jsonl");
  vi.stubEnv("XENO_HOME", folder);
});
afterEach(async () => {
  long.client.read = honest;
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const pins = () => long.world.services.market;
const failedIn = ({ lines }: ReceiptVerification): string[] =>
  lines.filter(({ status }) => status === "failed").map(({ check, says }) => `${check}: ${says}`);

it("takes away what was left of one that was ended before its end, and of no other", async () => {
  const [left, written] = [".xeno-00112233aabbccdd.part", ".xeno-ffeeddcc99887766.part"];
  for (const name of [left, written, "mine.part"]) await writeFile(path.join(folder, name), "{");
  for (const name of [left, "mine.part"]) await utimes(path.join(folder, name), 1, 1);
  await keepParts(long.client, long.lease, file);
  expect((await readdir(folder)).toSorted()).toEqual([written, "long.jsonl", "mine.part"].toSorted());
});

describe("a receipt that is kept", () => {
  it("is the one that was read last, also where the broker's is shorter by now", async () => {
    const { file: first } = await keepReceipt(long.client, long.lease);
    expect(first).toMatch(/\.jsonl$/);
    const short = { ...whole, documents: whole.documents.slice(0, 9) };
    long.client.read = (async () => short) as unknown as typeof honest;
    const { file: second } = await keepReceipt(long.client, long.lease, 0);
    expect(await readdir(path.dirname(first))).toEqual([path.basename(second)]);
    const { receipt } = await readReceipt(second, [], () => Promise.reject(new Error("nobody is asked")));
    expect(receipt).toEqual(short);
  });
});

describe("what lies here in place of a receipt", () => {
  it.each([
    ["json", "{"],
    ["jsonl", "{"],
    ["jsonl", '{"format":"xenoservers-receipt-2","x'],
    ["jsonl", `{"format":"xenoservers-receipt-2","lease":"${"ab".repeat(200_000)}"}\n`],
  ])("is fetched anew: %s, %.40s", async (ending, text) => {
    const { file: here } = await keepReceipt(long.client, long.lease);
    await rm(here);
    await writeFile(path.join(path.dirname(here), `${long.lease}.${ending}`), text);
    const { file: found } = await readReceipt(long.lease, [], async () => long.client);
    expect(found).toBe(here);
    expect(failedIn(await (await ReceiptFile.open(found)).verified(pins(), {}))).toEqual([]);
  });
});

describe("a result that is taken again", () => {
  it("rests on its receipt, also where that is kept in parts", async () => {
    expect(await keptRuns.receipt(long.lease)).toBeNull();
    const { file: here } = await keepReceipt(long.client, long.lease);
    const receipt = await keptRuns.receipt(long.lease);
    expect(verifyReceipt(crypto, pins(), receipt)).toMatchObject({ ok: true, whose: verifyReceipt(crypto, pins(), whole).whose });
    await truncate(here, 100_000);
    expect(await keptRuns.receipt(long.lease)).toBeNull();
  });
});

it("is verified no further once nobody waits for it", async () => {
  await keepParts(long.client, long.lease, file);
  const receipt = await ReceiptFile.open(file);
  const all = receipt.documents.bind(receipt);
  const [ends, why] = [new AbortController(), new Error("nobody waits")];
  let read = 0;
  receipt.documents = async function* () {
    for await (const document of all()) {
      if (++read === 20) ends.abort(why);
      yield document;
    }
  };
  await expect(Market.of(long.client).verify(receipt, { signal: ends.signal })).rejects.toMatchObject({ code: "aborted", cause: why });
  expect(read).toBe(20);
});

describe("xeno receipt show", () => {
  const typed = new Typed();
  beforeEach(() => typed.listen());
  afterEach(() => typed.leave());
  const shown = async (...options: string[]): Promise<unknown> => {
    expect(await typed.xeno("receipt", "show", file, "--json", ...options)).toBe(0);
    return JSON.parse(typed.said.stdout);
  };

  it("gives programs the same of one in parts as of one in one piece", async () => {
    await keepParts(long.client, long.lease, file);
    const { leaves, ...inOne } = await honest("receipt", { params: { id: long.lease } });
    expect(await shown()).toMatchObject({ ...inOne, leaves: expect.arrayContaining(leaves) });
    const outside = await shown("--public");
    expect(await typed.xeno("receipt", "show", file)).toBe(0);
    expect(typed.said.stdout.trimEnd().split("\n")).toHaveLength(inOne.documents.length);
    await writeFile(file, JSON.stringify({ ...inOne, leaves }));
    expect(await shown("--public")).toEqual(outside);
  });
});

describe("a pipe", () => {
  it("is read once, by whom it is for", async () => {
    const pipe = path.join(folder, "pipe");
    await promisify(execFile)("mkfifo", [pipe]);
    expect(await isLongReceipt(pipe)).toBe(false);
    expect(await isLongReceipt(folder)).toBe(false);
    expect(await isLongReceipt(path.join(folder, "none"))).toBe(false);
  });
});
