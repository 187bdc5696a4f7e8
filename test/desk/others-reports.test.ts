/**
 * What is reported of other marketplaces' providers and schedulers, tried on this desk: room, money and offers after somebody went away in
 * the middle. Each test names the report.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { COOL_FIRST_MS, DEFAULT_TIMINGS, RESOURCE_KEYS, capacityKey, inputsByOf, moneyKey } from "@xenoservers/market";
import type { Identity } from "@xenoservers/sdk";
import { Harness, type ServerParty } from "./harness.ts";
import { finish, handIn } from "./judged.ts";

const CREDIT = 10_000_000n;
const WHOLE = { resources: { vcpu: 2, memoryMib: 1024, diskMib: 1024 } };

let h: Harness;
let customer: Identity;
let server: ServerParty;
beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(CREDIT);
  server = await h.server();
});

const free = async () => Promise.all(RESOURCE_KEYS.map((key) => h.balance(capacityKey(server.id, key, "free"))));
const ALL = [2n, 1024n, 1024n];
const held = () => h.balance(moneyKey(customer.account, "held"));
const available = () => h.balance(moneyKey(customer.account, "available"));
const ordered = async (over: Parameters<Harness["order"]>[1] = {}): Promise<string> =>
  String((await h.submit(h.order(customer, { ...WHOLE, terms: "on-result", ...over })))["lease"]);

/** The server says how much was used, as it does every ten seconds. */
async function claim(lease: string, sequence: number, usedMs: number): Promise<void> {
  const { lastClaim, openingId } = await h.lease(lease);
  const previous = lastClaim?.id ?? openingId ?? "";
  await h.act(server.signer, "claim", { lease, incarnation: 1, sequence, usedMs, egressBytes: 0, previous });
}

describe("room and money come back", () => {
  it("where an order lapses at its server (akash-network/support 193: kept for 15 to 25 minutes)", async () => {
    await ordered();
    expect(await free()).toEqual([0n, 0n, 0n]);
    await h.later(DEFAULT_TIMINGS.acceptWithinMs + 1_000);
    expect(await free()).toEqual(ALL);
    expect([await held(), await available()]).toEqual([0n, CREDIT]);
  });

  it("where its customer ends it before its server takes it (akash-network/support 438: the bid stays open)", async () => {
    const lease = await ordered();
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "changed its mind" });
    await h.later(DEFAULT_TIMINGS.acceptWithinMs + 1_000);
    expect(await free()).toEqual(ALL);
    expect([await held(), await available()]).toEqual([0n, CREDIT]);
  });

  it("where the job never comes (akash-network/support 435: the bid is not closed after the manifest's time)", async () => {
    const lease = await ordered();
    await h.accept(server, lease);
    const row = await h.lease(lease);
    for (let sequence = 1; h.now < inputsByOf(row, row.issuedAt); sequence++) {
      await h.pass(10_000);
      await claim(lease, sequence, 0);
    }
    const { cancellationNanos } = row;
    await handIn(h, server, lease, { reason: "input-missing", exitCode: null, fuel: "0", memoryHash: null });
    await h.later(1_000);
    expect(await h.lease(lease)).toMatchObject({ state: "settled", end: { reason: "input-missing", dueNanos: cancellationNanos } });
    expect(await free()).toEqual(ALL);
    expect([await held(), await available()]).toEqual([0n, CREDIT - BigInt(cancellationNanos)]);
  });

  it("where neither side is ever heard again (golemfactory/yagna 1086, hashicorp/nomad 9705)", async () => {
    const lease = await ordered();
    await h.accept(server, lease);
    await h.later(DEFAULT_TIMINGS.startWithinMs + DEFAULT_TIMINGS.graceMs + 60_000);
    expect((await h.lease(lease)).state).toBe("settled");
    expect(await free()).toEqual(ALL);
    expect([await held(), await available()]).toEqual([0n, CREDIT]);
  });
});

describe("an owner is not held by a customer that is gone", () => {
  it("after its stop: the lease is settled and paid by what lies sealed (golemfactory/yagna 3502: it is never terminated)", async () => {
    const lease = await ordered();
    await h.accept(server, lease);
    await h.pass(2_000);
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "enough" });
    // from here on nothing is heard of it
    await handIn(h, server, lease, { reason: "customer-stop", exitCode: null, usedMs: 2_000, fuel: "1000000000" });
    expect((await h.desk.sealed(lease, "11".repeat(32))).ok).toBe(true);
    expect(await h.lease(lease)).toMatchObject({ state: "settled", end: { reason: "customer-stop", dueNanos: "600" } });
    expect(await free()).toEqual(ALL);
    await h.later(DEFAULT_TIMINGS.disputeWindowMs + 1_000);
    expect(await h.balance(moneyKey(server.owner.account, "available"))).toBe(600n);
  });

  it("and says why it ended in the one word that is so (akash-network/support 403: invalid, where the money was used up)", async () => {
    const lease = await ordered({ terms: "by-interval", budgetNanos: "20000", durationMsMax: 3_000_000 });
    await h.accept(server, lease);
    await h.pass(10_000);
    await claim(lease, 1, 9_000);
    await h.pass(2_000);
    await claim(lease, 2, 10_000);
    await handIn(h, server, lease, { reason: "budget", exitCode: null, usedMs: 10_000, fuel: "0" });
    expect((await h.lease(lease)).end).toMatchObject({ reason: "budget", blame: "customer", dueNanos: "20000" });
  });
});

describe("a server goes on", () => {
  it("after the market does not know its lease any more (akash-network/support 111: it stopped bidding)", async () => {
    const unknown = "ee".repeat(32);
    const claim = { lease: unknown, incarnation: 1, sequence: 1, usedMs: 1, egressBytes: 0, previous: unknown };
    expect(await h.act(server.signer, "claim", claim)).toMatchObject({ code: "not_found" });
    const lease = await ordered();
    await h.accept(server, lease);
    await finish(h, customer, server, lease);
    expect((await h.lease(lease)).state).toBe("settled");
  });

  it("and is asked again after a rest that ends, whatever day it began on (BOINC/boinc 566: deferred for a month)", async () => {
    await ordered();
    await h.later(DEFAULT_TIMINGS.acceptWithinMs + 1_000);
    expect(await h.submit(h.order(customer))).toMatchObject({ excluded: { cooling: 1 } });
    await h.later(COOL_FIRST_MS);
    expect((await h.submit(h.order(customer))).code).toBeUndefined();
  });
});
