/** Replicas of one order at the desk: drawn by the broker, committed before shown; who copies, hides or comes late gains nothing. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { drawReplicas, type Candidate } from "@xenoservers/market";
import { KeyBook, parseDocumentOf, toHex, type Payload } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Identity } from "@xenoservers/sdk";
import { checkPurchaseOrder } from "@xenoservers/verify";
import { Harness, type ServerParty } from "../desk/harness.ts";

const STAKE = 1_000_000_000n;

let h: Harness;
let customer: Identity;
let servers: ServerParty[];

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(100_000_000n);
  servers = await Promise.all(Array.from({ length: 4 }, () => h.server({ assurances: ["isolated", "replicated"] })));
  for (const { owner } of servers) await stake(owner);
});

async function stake(owner: Identity): Promise<void> {
  await h.act(h.operator, "credit", {
    party: owner.party,
    amountNanos: STAKE.toString(),
    source: "operator",
    reference: "",
    clientId: h.id(),
  });
  await h.act(owner.signer, "stake", { party: owner.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: h.id() });
}
const ordered = (replicas: number, over: Partial<Payload<"order">> = {}) =>
  h.order(customer, { replicas, terms: "on-result", assurance: "replicated", budgetNanos: "3000000", ...over });

interface Replica {
  lease: string;
  server: ServerParty;
}
async function bound(replicas: number): Promise<Replica[]> {
  const order = ordered(replicas);
  const answer = await h.submit(order);
  expect(answer.code).toBeUndefined();
  const book = new KeyBook(nodeCrypto, h.origin);
  for (const grant of answer["grants"] as unknown[]) book.learn(grant);
  return (answer["replicas"] as { lease: string; purchaseOrder: unknown }[]).map(({ lease, purchaseOrder }) => {
    const po = checkPurchaseOrder({ crypto: nodeCrypto, market: h.market, keyOf: book.keyOf }, purchaseOrder);
    if (!po.ok) throw new Error(po.why);
    return { lease, server: servers.find(({ id }) => id === po.po.payload.server)! };
  });
}
async function opened(replicas: number): Promise<Replica[]> {
  const all = await bound(replicas);
  for (const { lease, server } of all) expect((await h.accept(server, lease)).code).toBeUndefined();
  return all;
}
async function resultOf({ lease, server }: Replica, over: Partial<Payload<"result">> = {}) {
  const row = await h.lease(lease);
  const zero = "00".repeat(32);
  return h.sign(server.signer, "result", {
    lease,
    server: server.id,
    jobHash: "ab".repeat(32),
    engine: "e",
    incarnation: 1,
    reason: "completed",
    exitCode: 0,
    usedMs: 0,
    egressBytes: 0,
    lastClaim: row.openingId!,
    fuelMax: row.fuelMax,
    fuel: "1000000",
    memoryHash: zero,
    outputDigest: zero,
    stdoutDigest: zero,
    stderrDigest: zero,
    stateRoot: null,
    nonce: toHex(randomBytes(32)),
    detail: "",
    ...over,
  });
}
const commit = ({ lease, server }: Replica, result: string) =>
  h.act(server.signer, "commitment", { lease, server: server.id, incarnation: 1, result });
/** The customer has the bytes of its result, and says so. */
const receive = ({ lease }: Replica, result: string) => h.act(customer.signer, "delivery", { lease, result, sealed: null });
const reveals = () =>
  h.sent.flatMap(({ filed }) => filed).filter(({ envelope }) => parseDocumentOf(nodeCrypto, "reveal", envelope).ok).length;

describe("the draw", () => {
  it("takes different owners, holds for all of them in one change, and is not the cheapest", async () => {
    const replicas = await bound(3);
    expect(new Set(replicas.map(({ server }) => server.owner.party)).size).toBe(3);
    const leases = await Promise.all(replicas.map(({ lease }) => h.lease(lease)));
    const held = leases.reduce((sum, { holdNanos }) => sum + BigInt(holdNanos), 0n);
    expect(await h.balance(`${customer.account}/held`)).toBe(held);
    expect(held <= 3_000_000n).toBe(true);
    // each is drawn for by itself, and one run of the referee is held for
    expect(leases.map(({ auditPpm }) => auditPpm)).toEqual([1_000_000, 1_000_000, 1_000_000]);
    expect(leases.map(({ auditReserveNanos, stakeNanos }) => auditReserveNanos === stakeNanos)).toEqual([true, false, false]);
    expect(await h.submit(ordered(5))).toMatchObject({ code: "no_match", excluded: { owners: 4 } });
    expect(await h.submit(ordered(2, { assurance: "isolated" }))).toMatchObject({ code: "bad_payload", path: "replicas" });
  });

  it("binds none where one of the slots cannot be paid for", async () => {
    const poor = await h.party(1_000_000n);
    const answer = await h.submit(h.order(poor, { replicas: 3, terms: "on-result", assurance: "replicated", budgetNanos: "3000000" }));
    expect(answer).toMatchObject({ code: "insufficient_funds" });
    expect(await h.balance(`${poor.account}/held`)).toBe(0n);
  });

  it("gives an owner with many servers one chance, and one with many identities as many as it has stakes for", () => {
    const candidate = (owner: string, server: string): Candidate => ({ owner, server }) as Candidate;
    const all = [candidate("sybil", "s1"), candidate("sybil", "s2"), candidate("sybil", "s3"), candidate("a", "s4"), candidate("b", "s5")];
    const taken: Record<string, number> = {};
    for (let i = 0; i < 3_000; i++)
      for (const { owner } of drawReplicas(all, 1, () => (i % 997) / 997)!) taken[owner] = (taken[owner] ?? 0) + 1;
    expect(Math.abs(taken["sybil"]! - 1_000)).toBeLessThan(30);
    expect(drawReplicas(all, 4, () => 0)).toBeNull();
  });
});

describe("commit before reveal", () => {
  it("shows no result before every replica has committed", async () => {
    const [a, b] = (await opened(2)) as [Replica, Replica];
    const [first, second] = [await resultOf(a), await resultOf(b)];
    expect(await h.submit(first)).toMatchObject({ code: "wrong_state" });
    expect((await commit(a, first.id)).code).toBeUndefined();
    expect(await h.submit(first)).toMatchObject({ code: "wrong_state" });
    expect(reveals()).toBe(0);
    expect((await commit(b, second.id)).code).toBeUndefined();
    expect(reveals()).toBe(2);
    expect((await h.submit(first)).code).toBeUndefined();
    expect((await h.submit(second)).code).toBeUndefined();
    expect((await receive(a, first.id)).code).toBeUndefined();
    expect((await h.lease(a.lease)).end).toMatchObject({ reason: "completed" });
  });

  it("does not let a server show what another found, nor change its mind", async () => {
    const [honest, thief] = (await opened(2)) as [Replica, Replica];
    const right = await resultOf(honest);
    await commit(honest, right.id);
    await commit(thief, right.id); // the copied commitment: the id of a document that names another lease
    await h.submit(right);
    const copied = await resultOf(thief, { nonce: right.payload.nonce });
    expect(await h.submit(copied)).toMatchObject({ code: "result_mismatch", why: expect.stringContaining("committed") });
    expect(await h.submit(await resultOf(thief, { reason: "server-failed", exitCode: null }))).toMatchObject({ code: "result_mismatch" });
  });

  it("pays nothing for a commitment that is never opened, and marks it as a failure; silence takes no stake", async () => {
    const [honest, hider] = (await opened(2)) as [Replica, Replica];
    const right = await resultOf(honest);
    await commit(honest, right.id);
    await commit(hider, (await resultOf(hider)).id);
    await h.submit(right);
    expect((await receive(honest, right.id)).code).toBeUndefined();
    const before = await h.balance(`${customer.account}/available`);
    const { holdNanos } = await h.lease(hider.lease);
    await h.later(60_000);
    expect((await h.lease(hider.lease)).end).toMatchObject({ reason: "not-revealed", blame: "owner", dueNanos: "0" });
    expect(await h.balance(`${customer.account}/available`)).toBe(before + BigInt(holdNanos));
    await h.later(600_000);
    expect(await h.balance(`${customer.account}/available`)).toBe(before + BigInt(holdNanos));
    expect(await h.balance(`${hider.server.owner.account}/staked`)).toBe(STAKE);
    expect(await h.balance(`${honest.server.owner.account}/staked`)).toBe(STAKE);
    const record = async ({ server }: Replica) => (await h.store.load("party", [server.owner.party])).get(server.owner.party)!.data.record;
    expect([await record(hider), await record(honest)]).toMatchObject([
      { convicted: 0, ownerFailures: 1 },
      { convicted: 0, completed: 1 },
    ]);
  });

  it("goes on without a replica that failed, vanished or never accepted", async () => {
    const [a, b, c] = (await bound(3)) as [Replica, Replica, Replica];
    for (const replica of [a, b]) await h.accept(replica.server, replica.lease);
    const result = await resultOf(a);
    await commit(a, result.id);
    expect((await h.submit(await resultOf(b, { reason: "server-failed", exitCode: null, fuel: "0" }))).code).toBeUndefined();
    expect(reveals()).toBe(0); // c may still accept
    await h.later(20_000);
    expect((await h.lease(c.lease)).state).toBe("lapsed");
    await h.later(2_000);
    expect(reveals()).toBe(1);
    expect((await h.submit(result)).code).toBeUndefined();
  });

  it("takes no commitment twice, from a stranger, or for a lease without replicas", async () => {
    const [a] = (await opened(2)) as [Replica];
    const result = await resultOf(a);
    expect(await commit({ ...a, server: servers.find(({ id }) => id !== a.server.id)! }, result.id)).toMatchObject({ code: "not_found" });
    await commit(a, result.id);
    expect(await commit(a, (await resultOf(a)).id)).toMatchObject({ code: "wrong_state" });
    const claim = { lease: a.lease, incarnation: 2, sequence: 1, usedMs: 0, egressBytes: 0, previous: (await h.lease(a.lease)).openingId! };
    expect(await h.act(a.server.signer, "claim", claim)).toMatchObject({ code: "wrong_state" }); // it would put off its deadline
    const single = (await h.submit(ordered(1)))["lease"] as string;
    const server = servers.find(({ id }) => id === (h.sent.at(-1)?.server ?? ""))!;
    await h.accept(server, single);
    expect(await commit({ lease: single, server }, result.id)).toMatchObject({ code: "wrong_state" });
  });
});
