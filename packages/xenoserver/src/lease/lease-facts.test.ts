/** The server's own fold: in whatever order a broker tells what its log has, the lease is the same. */
import { beforeEach, expect, it } from "vitest";
import { Random, SimClock } from "@xenoservers/testkit";
import { lastClaimOf } from "@xenoservers/market";
import { isOfKind, parseDocument, serverIdOf, signDocument, type Kind, type SignedDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { FakeMarket } from "../testing/fake-market.ts";
import { TestServer } from "../testing/test-server.ts";
import { newRecord, type Filed, type LeaseRecord } from "./journal.ts";
import { LeaseFacts } from "./lease-facts.ts";

let clock: SimClock;
let market: FakeMarket;
let log: string[];

beforeEach(async () => {
  clock = new SimClock(1_800_000_000_000, new Random(1));
  market = new FakeMarket(clock);
  market.pushes = false;
  log = [];
  const { server } = new TestServer(market);
  await server.start();
  await clock.runUntil(clock.now() + 1_000);
  await server.close();
});

const tick = async (ms = 1_000): Promise<number> => {
  await clock.runUntil(clock.now() + ms);
  return clock.now();
};
const world = () => ({
  ...{ crypto: nodeCrypto, signer: market.serverSigner, owner: market.owner.party, timers: clock },
  pins: () => market.pins,
  log: (what: string) => void log.push(what),
});
const factsOf = (record: LeaseRecord): LeaseFacts => new LeaseFacts(world(), record);

function recordOf(lease: string): LeaseRecord {
  const [po] = market.log.get(lease) ?? [];
  if (!po) throw new Error("no purchase order");
  const { envelope: acceptance } = market.sign(market.serverSigner, "acceptance", {
    lease,
    server: serverIdOf(nodeCrypto, market.serverSigner.publicKey),
  });
  return newRecord({ lease, grants: market.grants, facts: [po], acceptance, incarnation: 1 });
}

const server = (kind: "acceptance" | "claim", said: object): SignedDocument<Kind> =>
  // any kind of a server's own documents: the market takes what is right
  signDocument(nodeCrypto, market.serverSigner, kind, { origin: market.origin, seen: null, ...said } as never);

async function claims(lease: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await tick();
    const last = lastClaimOf(market.lease(lease));
    const at = clock.now();
    const usedMs = last.usedMs + 500;
    const claim = server("claim", { lease, incarnation: 1, sequence: last.sequence + 1, usedMs, egressBytes: 0, previous: last.id });
    market.file(claim, at);
    market.issue("claim-receipt", { lease, claim: claim.id, sequence: last.sequence + 1, usedMs, egressBytes: 0, at });
  }
}

/** Opened, some claims, longer, stopped. */
async function aLease(): Promise<{ lease: string; told: Filed[] }> {
  const order = { jobHash: "11".repeat(32), terms: "by-interval" as const, durationMsMax: 300_000 };
  const lease = market.place(order);
  const acceptance = server("acceptance", { lease, server: market.offer.payload.server });
  market.file(acceptance, await tick());
  const { orderId, slot } = market.lease(lease);
  market.issue("opening", { lease, order: orderId, slot, acceptance: acceptance.id, at: clock.now() });
  await claims(lease, 3);
  const { party, signer } = market.customer;
  await tick();
  const extension = market.sign(signer, "extension", { lease, party, durationMsMax: 400_000, previous: lease });
  const holdNanos = "400000";
  market.issue("amendment", { lease, extension: extension.envelope, durationMsMax: 400_000, holdNanos, previous: lease, at: clock.now() });
  await claims(lease, 2);
  await tick();
  market.file(market.sign(signer, "stop", { lease, party, reason: "" }));
  return { lease, told: (market.log.get(lease) ?? []).slice(1) };
}

/** What the log took at one time is told in one piece. */
const pieces = (told: readonly Filed[]): Filed[][] => [...Map.groupBy(told, ({ at }) => at).values()];

it("comes to the broker's lease, in whatever order it is told", async () => {
  const { lease, told } = await aLease();
  const random = new Random(7);
  for (let run = 0; run < 200; run++) {
    const facts = factsOf(recordOf(lease));
    const shuffled = pieces(told)
      .map((filed) => ({ filed, by: random.fraction() }))
      .toSorted((a, b) => a.by - b.by);
    for (const { filed } of shuffled) facts.take({ grants: [], filed });
    expect(facts.lease).toEqual(market.lease(lease));
    expect(facts.held).toEqual([]);
  }
});

it("is folded again from the journal, however much of it was left out", async () => {
  const { lease } = await aLease();
  const other = market.place({ jobHash: "22".repeat(32), terms: "by-interval", durationMsMax: 300_000 });
  const acceptance = server("acceptance", { lease: other, server: market.offer.payload.server });
  market.file(acceptance, await tick());
  const { orderId, slot } = market.lease(other);
  market.issue("opening", { lease: other, order: orderId, slot, acceptance: acceptance.id, at: clock.now() });
  await claims(other, 200);
  for (const [id, most] of [
    [lease, 20],
    [other, 60],
  ] as const) {
    const record = recordOf(id);
    const facts = factsOf(record);
    for (const filed of (market.log.get(id) ?? []).slice(1)) facts.take({ grants: [], filed: [filed] });
    expect(record.facts.length).toBeLessThan(most);
    const copy: LeaseRecord = JSON.parse(JSON.stringify(record));
    expect(factsOf(copy).lease).toEqual(market.lease(id));
  }
});

it("takes nothing twice, and nothing from before a purchase order", async () => {
  const { lease, told } = await aLease();
  const record = recordOf(lease);
  const facts = factsOf(record);
  for (const filed of [...told, ...told]) facts.take({ grants: market.grants, filed: [filed, filed] });
  expect(record.facts).toHaveLength(told.length + 1);
  expect(record.grants).toHaveLength(market.grants.length);
  const early = told[0];
  if (early) expect(factsOf(recordOf(lease)).take({ grants: [], filed: [{ ...early, at: 1 }] })).toBe(false);
});

it("learns from the broker's log what it missed, and nothing that takes away what it knew", async () => {
  const { lease, told } = await aLease();
  const entries = (filed: readonly Filed[]) => ({ grants: market.grants, filed: [...filed] });
  const toldAll = (facts: LeaseFacts, log: readonly Filed[]): boolean => {
    const anew = facts.anew();
    for (const filed of log) anew.follow(entries([filed]));
    return facts.adopt(anew);
  };
  const [po] = market.log.get(lease) ?? [];
  if (!po) throw new Error("no purchase order");
  const facts = factsOf(recordOf(lease));
  facts.take(entries(told.slice(0, 2)));
  expect(toldAll(facts, [po, ...told])).toBe(true);
  expect(facts.lease).toEqual(market.lease(lease));
  // a log that leaves something out is not what this server believes
  expect(toldAll(facts, [po, ...told.slice(0, 3)])).toBe(false);
  expect(facts.lease).toEqual(market.lease(lease));
});

it("keeps the log times that it was told first: a stop that is dated back would leave what ran until then unpaid", async () => {
  const lease = market.place({ jobHash: "11".repeat(32), terms: "by-interval", durationMsMax: 300_000 });
  const acceptance = server("acceptance", { lease, server: market.offer.payload.server });
  market.file(acceptance, await tick());
  const { orderId, slot } = market.lease(lease);
  market.issue("opening", { lease, order: orderId, slot, acceptance: acceptance.id, at: clock.now() });
  const opened = clock.now();
  await claims(lease, 100);
  await tick();
  market.file(market.sign(market.customer.signer, "stop", { lease, party: market.customer.party, reason: "" }));
  const log = market.log.get(lease) ?? [];
  const facts = factsOf(recordOf(lease));
  for (const filed of log.slice(1)) facts.take({ grants: market.grants, filed: [filed] });
  const before = facts.lease;
  const redated = [...log.slice(0, -1), { ...log.at(-1)!, at: opened + 1 }].toSorted((a, b) => a.at - b.at);
  const anew = facts.anew();
  anew.follow({ grants: market.grants, filed: redated });
  facts.adopt(anew);
  expect(facts.lease).toEqual(before);
});

it("holds what a broker signs against the lease, a few of each kind, and says so", async () => {
  const { lease, told } = await aLease();
  const record = recordOf(lease);
  const facts = factsOf(record);
  facts.take({ grants: [], filed: told });
  for (let i = 0; i < 20; i++) {
    const closing = { lease, reason: "server-unreachable" as const, at: clock.now() + i, lastClaim: null };
    facts.take({ grants: [], filed: [{ envelope: market.sign(market.keys.receipts, "closing", closing).envelope, at: clock.now() + i }] });
  }
  expect(facts.lease.state).toBe("stopping");
  expect(record.held).toHaveLength(8);
  expect(record.held[0]?.why).toContain("nothing has ended this lease");
  for (const { envelope } of record.held) {
    const parsed = parseDocument(nodeCrypto, envelope);
    expect(parsed.ok && isOfKind(parsed.document, "closing")).toBe(true);
  }
});

it("knows its customer's word for a result from everybody else's", async () => {
  const { lease, told } = await aLease();
  const record = recordOf(lease);
  const facts = factsOf(record);
  facts.take({ grants: [], filed: told });
  const result = "33".repeat(32);
  const { acceptance: envelope } = record;
  record.result = { id: result, envelope, usedMs: 0, tree: [], stdoutSize: 0, stderrSize: 0 };
  const word = (signer = market.customer.signer, said: object = {}) =>
    facts.customersWord(market.sign(signer, "delivery", { lease, result, sealed: null, ...said }).envelope);
  expect(word()).not.toBeNull();
  expect(word(market.owner.signer)).toBeNull();
  expect(word(market.newParty(90).signer)).toBeNull();
  expect(word(market.customer.signer, { result: "44".repeat(32) })).toBeNull();
  expect(word(market.customer.signer, { lease: "44".repeat(32) })).toBeNull();
});

it("knows a party's keys in whatever order their grants come, and what an old root key said stays said", async () => {
  const { customer } = market;
  const device = market.newParty(91);
  const next = market.newParty(92);
  const grant = market.grant(customer, device.signer.publicKey, "device");
  const { party, signer } = customer;
  const said = { party, newRootKey: next.signer.publicKey, newRecoveryKey: null };
  const rotation = market.sign(signer, "key-rotate", said).envelope;
  const { lease, told } = await aLease();
  const record = { ...recordOf(lease), grants: [rotation, ...market.grants] };
  const facts = factsOf(record);
  // the stop is the old root key's, from before; of the key that it had granted the server hears later
  facts.take({ grants: [grant], filed: told });
  expect(facts.lease.stop?.reason).toBe("customer-stop");
  const result = "33".repeat(32);
  record.result = { id: result, envelope: record.acceptance, usedMs: 0, tree: [], stdoutSize: 0, stderrSize: 0 };
  const word = (by: typeof signer) => facts.customersWord(market.sign(by, "delivery", { lease, result, sealed: null }).envelope);
  expect(word(device.signer)).not.toBeNull();
  expect(word(next.signer)).not.toBeNull();
  expect(word(market.newParty(93).signer)).toBeNull();
});
