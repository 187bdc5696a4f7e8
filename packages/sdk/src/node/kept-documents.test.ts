import { mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseDocument, type Kind, type SignedDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { keepDocument, keptDocuments, missingIn } from "./kept-documents.ts";
import { thoroughly } from "../../../../test/thorough.ts";

const market = new PaperMarket(new Random(1));
const carl = market.party("carl");
const LEASE = "7".repeat(64);
const promise = { origin: market.origin, epoch: "e0".repeat(16), size: 0, leaf: LEASE, mergeBy: 1, keyid: LEASE, sig: "s" };

let data: string;
beforeEach(async () => {
  data = await mkdtemp(path.join(tmpdir(), "xeno-kept-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const stop = (reason = "", lease = LEASE) => market.sign(carl.signer, "stop", { lease, party: carl.party, reason });
function keep<K extends Kind>(signed: SignedDocument<K>, at = 5, answer: Record<string, unknown> = {}): string {
  const parsed = parseDocument(nodeCrypto, signed.envelope);
  if (!parsed.ok) throw new Error(parsed.code);
  keepDocument(data, { document: parsed.document, at, promise, answer });
  return signed.id;
}
const kept = async (lease = LEASE, origin = market.origin) => (await keptDocuments(data, origin, lease)).map(({ id }) => id);
const fileOf = (id: string, lease = LEASE): string => path.join(data, "signed", `${lease}.${id}.json`);

it("keeps what names a lease, and an order with the lease that it became, where only their owner reads", async () => {
  const [late, early] = [keep(stop("late"), 9), keep(stop("early"), 4)];
  const order = keep(market.order(carl), 3, { lease: LEASE });
  keep(market.order(carl), 3, { lease: "../nowhere" });
  keep(stop("of another", "8".repeat(64)));
  keep(market.sign(carl.signer, "batch-close", { party: carl.party, batch: LEASE }));
  expect(await kept()).toEqual([order, early, late]);
  expect(await readdir(path.join(data, "signed"))).toHaveLength(4);
  expect((await stat(fileOf(order))).mode & 0o777).toBe(0o600);
  expect((await stat(path.join(data, "signed"))).mode & 0o777).toBe(0o700);
});

it("counts only what is whole and of that market", async () => {
  const id = keep(stop());
  const whole = await readFile(fileOf(id), "utf8");
  await writeFile(`${fileOf("a".repeat(64))}.part`, whole);
  await writeFile(fileOf("b".repeat(64)), whole.slice(0, 100));
  await writeFile(fileOf("c".repeat(64)), "");
  expect(await kept()).toEqual([id]);
  expect(await kept(LEASE, "another.market")).toEqual([]);
  expect(await kept("8".repeat(64))).toEqual([]);
});

/** So many of another lease that all are looked through once. */
function keepOthers(): void {
  for (let i = 0; i < 64; i++) keep(stop(`another ${i}`, "8".repeat(64)));
}

thoroughly("is bounded: the oldest go, whatever the broker says of times", async () => {
  const first = keep(stop("first"), 9_000);
  await utimes(fileOf(first), 1, 1);
  const second = keep(stop("second"), 1);
  for (let i = 0; i < 4_094; i++) {
    const file = path.join(data, "signed", `${i}.json`);
    await writeFile(file, "");
    await utimes(file, 2, 2);
  }
  const third = keep(stop("third"), 2);
  keepOthers();
  expect(await kept()).toEqual([second, third]);
  expect(await readdir(path.join(data, "signed"))).not.toContain("0.json");
  const { length } = await readdir(path.join(data, "signed"));
  expect(length).toBeGreaterThanOrEqual(4_096);
  expect(length).toBeLessThan(4_096 + 64);
});

it("keeps every doubt, however old: what was doubted is not taken for right again", async () => {
  const doubt = keep(market.sign(carl.signer, "objection", { lease: LEASE, party: carl.party, expectedDueNanos: "0", reason: "" }));
  const { length } = await readdir(path.join(data, "signed"));
  for (const name of await readdir(path.join(data, "signed"))) await utimes(path.join(data, "signed", name), 1, 1);
  for (let i = 0; i < 4_096; i++) await writeFile(path.join(data, "signed", `${i}.json`), "");
  keepOthers();
  expect(length).toBe(1);
  expect(await kept()).toEqual([doubt]);
});

it("says what a receipt does not show", () => {
  const shown = stop("shown");
  const stored = { kind: "stop", id: shown.id, envelope: shown.envelope, at: 1, salt: LEASE, leaf: LEASE, index: 0, proof: [] };
  const receipt = { format: "xenoservers-receipt-1" as const, lease: LEASE, market: market.pins, leaves: [], checkpoint: "", size: 1 };
  const all = [shown, stop("hidden")].map(({ id }) => ({ id, kind: "stop" as const, at: 1 }));
  expect(missingIn({ ...receipt, documents: [stored] }, all)).toEqual([all[1]]);
});
