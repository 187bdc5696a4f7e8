import type { Receipt } from "@xenoservers/protocol";
import { PaperMarket, Random, SimClock } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { fetchReceipt } from "./receipt.ts";

const clock = new SimClock(1_800_000_000_000, new Random(1));
const market = new PaperMarket(new Random(2), clock.now());
const client = new PaperClient(market, clock, new Uint8Array(32).fill(1));
const ID = "a".repeat(64);

/** A receipt whose documents, and public leaves, have these places in the log. */
function receipt(documents: (number | null)[], leaves: (number | null)[]): Receipt {
  const stored = (index: number | null) => {
    const { envelope } = market.sign(market.operator, "fee", { basisPoints: 1, effectiveAt: 0, clientId: client.newId() });
    return { kind: "fee", id: ID, envelope, at: 0, salt: "" as const, leaf: ID, index, proof: [] };
  };
  const { pins } = market;
  return {
    format: "xenoservers-receipt-1",
    lease: ID,
    market: pins,
    documents: documents.map(stored),
    leaves: leaves.map(stored),
    checkpoint: "",
    size: 9,
  };
}

it("waits until every document and every leaf that it leans on stands in the log", async () => {
  const steps = [receipt([1, null], [2]), receipt([1, 3], [null]), receipt([1, 3], [2])];
  let reads = 0;
  client.answers.receipt = () => steps[Math.min(reads++, steps.length - 1)]!;
  const got = fetchReceipt(client, ID);
  await clock.runUntil(clock.now() + 4_000, () => reads === steps.length);
  expect((await got).documents.map(({ index }) => index)).toEqual([1, 3]);
  expect(reads).toBe(3);
});

it("gives what there is when that takes too long", async () => {
  client.answers.receipt = () => receipt([null], []);
  const got = fetchReceipt(client, ID, 500);
  await clock.runUntil(clock.now() + 10_000);
  expect((await got).documents[0]?.index).toBeNull();
});

it("takes no receipt of another lease", async () => {
  client.answers.receipt = () => receipt([1], []);
  await expect(fetchReceipt(client, "b".repeat(64))).rejects.toThrow(/receipt of another lease/);
});
