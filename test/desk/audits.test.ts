/** Audits at the desk: rounds that fix a secret and show it, draws that follow from it, and the one thing that improves a record. */
import { beforeEach, describe, expect, it } from "vitest";
import { isOfKind, parseDocument, toHex, type AnyDocument, type Kind, type Payload, type SignedDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Identity } from "@xenoservers/sdk";
import { verifyReceipt, wasDrawn } from "@xenoservers/verify";
import { Desk, MARKET_DEFAULTS, createReads, sequence, startEpoch } from "@xenoservers/xenocorp/parts";
import { Harness, type ServerParty } from "./harness.ts";
import { handIn, known } from "./judged.ts";

const STAKE = 1_000_000_000n;
const zero = "00".repeat(32);
const ROUND_MS = MARKET_DEFAULTS.auditRoundMs;
const SHOWN_AFTER_MS = MARKET_DEFAULTS.mergeDelayMs;

let h: Harness;
let customer: Identity;
let server: ServerParty;

/** Everything that was ever filed of a kind, in the log's order. */
async function filed<K extends Kind>(kind: K): Promise<SignedDocument<K>[]> {
  await sequence(h.desk.services);
  const head = await h.store.logHead();
  const entries = await h.store.logEntries(0, head?.size ?? 0);
  const documents = entries.flatMap(({ envelope }): AnyDocument[] => {
    const parsed = parseDocument(nodeCrypto, envelope);
    return parsed.ok ? [parsed.document] : [];
  });
  return documents.flatMap((document) => (isOfKind(document, kind) ? [document] : []));
}

const restarted = (): Desk => new Desk(h.desk.services, { toServer: () => {}, event: () => {}, keyRevoked: () => {} });

async function staked(): Promise<ServerParty> {
  const made = await h.server({ assurances: ["isolated", "replicated"], validUntil: h.now + 10 * ROUND_MS });
  const { party, signer } = made.owner;
  const amount = { party, amountNanos: STAKE.toString(), clientId: h.id() };
  await h.act(h.operator, "credit", { ...amount, source: "operator", reference: "" });
  await h.act(signer, "stake", { ...amount, direction: "deposit" });
  return made;
}

async function bound(order: Partial<Payload<"order">> = {}, on = server): Promise<string> {
  const conditions = [{ key: "server", op: "=" as const, value: on.id }];
  const terms = { terms: "on-result", assurance: "replicated" } as const;
  const id = (await h.submit(h.order(customer, { ...terms, conditions, ...order })))["lease"] as string;
  await h.accept(on, id);
  await h.pass(1_000);
  return id;
}

const result = (id: string, over: Partial<Payload<"result">> = {}, on = server) => handIn(h, on, id, { fuel: "5000000000", ...over });

async function settled(order: Partial<Payload<"order">> = {}, over: Partial<Payload<"result">> = {}, on = server) {
  const id = await bound(order, on);
  const document = await result(id, over, on);
  await h.act(customer.signer, "delivery", { lease: id, result: document.id, sealed: null });
  return h.lease(id);
}

const auditLine = async (id: string): Promise<string> => {
  await sequence(h.desk.services);
  const reads = createReads(h.desk.services, async () => Promise.reject(new Error("nobody asks")));
  const key = (await h.store.load("key", [customer.signer.publicKey])).get(customer.signer.publicKey)!.data;
  const session = { by: "party" as const, party: customer.party, key };
  const answer = await reads.receipt({ session, params: { id }, query: { brief: "false" }, body: undefined });
  if (!answer.ok) throw new Error(answer.code);
  const line = verifyReceipt(nodeCrypto, h.market, answer.reply).lines.find(({ check }) => check === "audit");
  return `${line?.status}: ${line?.says}`;
};

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(1_000_000_000n);
  server = await staked();
});

describe("a round of audits", () => {
  it("fixes its secret before anything is drawn, and shows it when it is over and the log has all that it drew", async () => {
    const [round] = await filed("audit-round");
    expect(round?.payload).toMatchObject({ round: 1, from: 1_800_000_000_000, until: 1_800_000_000_000 + ROUND_MS, previous: null });
    h.now = round!.payload.until;
    await h.desk.runTimers();
    expect(await filed("audit-reveal")).toEqual([]);
    expect((await filed("audit-round")).map(({ payload }) => payload)).toMatchObject([{}, { round: 2, previous: round!.id, from: h.now }]);
    await h.pass(SHOWN_AFTER_MS);
    const [reveal] = await filed("audit-reveal");
    expect(reveal?.payload).toMatchObject({ auditRound: round!.id, round: 1, to: round!.payload.until });
    expect(toHex(nodeCrypto.sha256(Buffer.from(reveal!.payload.secret, "hex")))).toBe(round!.payload.commitment);
  });

  it("is opened and shown once, however many brokers turn it", async () => {
    const desks = [h.desk, restarted(), restarted()];
    for (let i = 0; i < 3; i++) {
      h.now += ROUND_MS;
      await Promise.all(desks.map((desk) => desk.runTimers()));
    }
    expect((await filed("audit-round")).map(({ payload }) => payload.round)).toEqual([1, 2, 3, 4]);
    expect((await filed("audit-reveal")).map(({ payload }) => payload.round)).toEqual([1, 2]);
  });

  it("says its secret to nobody before: not in a row, a document, an answer or an event", async () => {
    const lease = await settled();
    const rows = await h.store.load("setting", ["auditRounds"]);
    const reader = { party: customer.party, account: null, label: null, serverKey: null };
    const [events, documents] = [(await h.store.events(reader, null, 1_000)) ?? [], await h.store.documentsOf(lease.id)];
    const before = JSON.stringify([...rows.values(), lease, events, documents, await filed("audit-round")]);
    expect(events.length).toBeGreaterThan(0);
    h.now += ROUND_MS;
    await h.desk.runTimers();
    await h.pass(SHOWN_AFTER_MS);
    const [reveal] = await filed("audit-reveal");
    expect(reveal?.payload.secret).toMatch(/^[0-9a-f]{64}$/);
    expect(before).not.toContain(reveal!.payload.secret);
  });

  it("of a backup is over when it is restored: its secret may have been shown", async () => {
    const before = (await h.store.logHead())!;
    await startEpoch(h.desk.services, before, "restored from a backup");
    const after = (await h.store.logHead())!;
    h.now += 1_000;
    await restarted().runTimers();
    const rounds = await filed("audit-round");
    // by its name, for a backup that is restored twice opens this round twice
    expect(rounds.map(({ payload }) => [payload.round, payload.epoch])).toEqual([
      [1, before.id],
      [2, after.id],
    ]);
    const lease = await settled();
    expect(lease.end).toMatchObject({ audited: true, auditRound: rounds[1]!.id });
  });
});

describe("a result", () => {
  it("of a newcomer is always drawn, and its customer has what was held for the audit back at once", async () => {
    const before = await h.balance(`${customer.account}/available`);
    const lease = await settled();
    const [round] = await filed("audit-round");
    expect(lease.end).toMatchObject({ reason: "completed", audited: true, auditRound: round!.id });
    expect(lease).toMatchObject({ auditPpm: 1_000_000, auditReserveNanos: lease.stakeNanos });
    expect(await h.balance(`${customer.account}/available`)).toBe(before - BigInt(lease.end!.dueNanos));
  });

  it("is drawn by the secret of the round in which it was logged, over lease and salt, also when its bytes come later", async () => {
    await known(h, server, 10_000);
    const id = await bound({ auditSalt: "77".repeat(32) });
    h.now += ROUND_MS - 2_000;
    await h.desk.hear();
    const shown = await result(id);
    const [round] = await filed("audit-round");
    await h.pass(15_000);
    await h.act(customer.signer, "delivery", { lease: id, result: shown.id, sealed: null });
    const lease = await h.lease(id);
    expect(lease.end?.auditRound).toBe(round!.id);
    await h.pass(SHOWN_AFTER_MS);
    const [reveal] = await filed("audit-reveal");
    expect(wasDrawn(nodeCrypto, reveal!.payload.secret, lease, lease.end!.dueNanos)).toBe(lease.end!.audited);
  });

  it("is drawn as its receipt recomputes: claimed while the round lasts, recomputed after it", async () => {
    await known(h, server, 10_000);
    const leases = [];
    for (let i = 0; i < 12; i++)
      leases.push(await settled({ auditSalt: toHex(nodeCrypto.randomBytes(32)), budgetNanos: "10000000" }, { fuel: "9" }));
    for (const { id } of leases) expect(await auditLine(id)).toMatch(/^claimed: .*claimed until the round ends/);
    h.now += ROUND_MS;
    await h.desk.runTimers();
    await h.pass(SHOWN_AFTER_MS);
    for (const { id, end } of leases)
      expect(await auditLine(id)).toMatch(end?.audited ? /^claimed: drawn at .*recomputed/ : /^claimed: not drawn at .*recomputed/);
  });

  it.each([
    ["memory-limit", { memoryHash: zero }],
    ["output-limit", {}],
    ["module-malformed", { memoryHash: null, fuel: "0" }],
    ["fuel-limit", { fuel: "6000000000" }],
  ] as const)("that ended %s is drawn for as well", async (reason, over) => {
    const lease = await settled({ fuelMax: "6000000000", budgetNanos: "100000000" }, { ...over, reason, exitCode: null });
    expect(lease.end).toMatchObject({ reason, audited: true });
  });

  it.each([
    ["isolated", { assurance: "isolated" }],
    ["paid by interval", { terms: "by-interval", budgetNanos: "10000000" }],
    ["a segment", { segment: true }],
  ] as const)("that is %s is not, and nothing is held for it", async (_, order) => {
    const lease = await settled(order);
    expect(lease.end).toMatchObject({ audited: null, auditRound: null });
    expect(lease).toMatchObject({ auditPpm: 0, auditReserveNanos: "0" });
  });

  it("in no round is drawn: what nobody could show is not left to the broker's word", async () => {
    await known(h, server, 10_000);
    const id = await bound();
    const row = (await h.store.load("setting", ["auditRounds"])).get("auditRounds")!;
    const change = { id: h.id(), answer: {}, uniques: [], floors: [], transfers: [], documents: [], events: [] };
    const data = { id: "auditRounds", value: [] };
    await h.store.commit([{ ...change, puts: [{ kind: "setting", id: "auditRounds", expect: row.version, data }] }]);
    const document = await result(id);
    await h.act(customer.signer, "delivery", { lease: id, result: document.id, sealed: null });
    expect((await h.lease(id)).end).toMatchObject({ audited: true, auditRound: null });
  });
});

describe("a record", () => {
  const recordOf = async () => (await h.store.load("party", [server.owner.party])).get(server.owner.party)!.data.record;

  /** Its customer brings what a referee came to. */
  async function judged(order: Partial<Payload<"order">>): Promise<void> {
    const referee = await staked();
    await h.act(h.operator, "referee", { server: referee.id, active: true, clientId: h.id() });
    const lease = (await settled(order)).id;
    const { party } = customer;
    await h.act(customer.signer, "trace-request", { lease, party, step: null });
    const refereeLease = (await settled({ assurance: "isolated", judges: lease }, {}, referee)).id;
    const answer = await h.act(customer.signer, "dispute", { lease, party, refereeLease, segment: null, ruling: null });
    expect(answer.code).toBeUndefined();
  }

  it("improves by a right result that was drawn", async () => {
    await judged({});
    expect(await recordOf()).toMatchObject({ leases: 1, audited: 1 });
    const next = await bound();
    expect(await h.lease(next)).toMatchObject({ auditPpm: 800_000 });
  });

  it("does not improve by one that its customer picked", async () => {
    await judged({ assurance: "isolated" });
    expect(await recordOf()).toMatchObject({ leases: 1, audited: 0 });
  });
});
