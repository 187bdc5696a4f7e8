/** Evidence: a key is convicted by its own signatures, and nobody by what somebody else has made up. */
import {
  EVIDENCE_FORMAT,
  cosign,
  signDocument,
  signPromise,
  toBase64,
  leafHash,
  toHex,
  utf8,
  zEvidence,
  type Envelope,
  type Evidence,
  type Payload,
  type Signer,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { Cast } from "../testing/cast.ts";
import { PaperEpoch, historyOf, keySetOf } from "../testing/log-paper.ts";
import { EPOCH } from "../testing/script.ts";
import { storyOf } from "../testing/stories.ts";
import { isEvidence, verifyEvidence } from "./evidence.ts";
import { packBrokenPromise, packContradiction, packFork, packLoss, type Packing } from "./packing.ts";
import type { Trust } from "./trust.ts";

const story = storyOf({ crypto, createSigner }, "completed by interval", 17);
const { cast, play } = story;
const { pins, signers } = cast;
const grants = play.filed.filter(({ isLeaf, isAside }) => isLeaf && !isAside).map(({ document }) => document.envelope);
const packingOf = (epochs: readonly PaperEpoch[] = [], witnesses: readonly Envelope[] = []): Packing => ({
  ...{ crypto, market: pins, history: historyOf(cast, epochs, witnesses) },
});
const packing = packingOf();
const verified = (evidence: unknown, trust: Trust | null = pins) => verifyEvidence(crypto, structuredClone(evidence), trust);
const line = (evidence: unknown, trust: Trust | null = pins) => verified(evidence, trust).lines[0];
/** As it was packed, whatever it shows. */
const raw = (evidence: object): object => ({
  format: EVIDENCE_FORMAT,
  ...historyOf(cast, []),
  epochs: [],
  witnesses: undefined,
  ...evidence,
});
const contradiction = (first: Envelope, second: Envelope, more: object = { grants }) => {
  const { witnesses: _, ...rest } = raw({ kind: "contradiction", first, second, ...more }) as { witnesses?: unknown };
  return rest;
};

const claim = play.of("claim", "claim 1").document;
const lie = (by: Signer = signers.server) => signDocument(crypto, by, "claim", { ...claim.payload, usedMs: 5 }).envelope;
const opening = play.of("opening").document;
const openings = (by: Signer) =>
  [
    signDocument(crypto, by, "opening", opening.payload).envelope,
    signDocument(crypto, by, "opening", { ...opening.payload, at: 5 }).envelope,
  ] as const;
const A = new PaperEpoch(cast, "e1", null);
const fork = A.note(1, signers.checkpoints, "bb".repeat(32));

/** One that stands, of every kind. */
function guilty(): Evidence[] {
  const log = new PaperEpoch(cast, "e1", null);
  const gone = toHex(leafHash(crypto, new Uint8Array([1])));
  const promise = signPromise(signers.receipts, { origin: pins.origin, epoch: log.id, size: 1, leaf: gone, mergeBy: 1_500 });
  for (let i = 0; i < 4; i++) log.filler(2_000 + i, `${i}`);
  const next = new PaperEpoch(cast, "e2", log.state(2));
  const all = [
    packContradiction(packing, [claim.envelope, lie()], grants),
    packContradiction(packing, openings(signers.orders)),
    packFork(packing, A.note(1), fork),
    packBrokenPromise(packing, promise, log.note(), log.bytes, toBase64),
    packLoss(packingOf([log, next]), log.note(), next.document.envelope),
    zEvidence.parse(soldTwice(secondOrder(signers.orders))),
  ];
  return all.map((each) => {
    if (!each) throw new Error("it shows nothing");
    return each;
  });
}
const po = play.of("purchase-order").document;
const secondOrder = (by: Signer, over: Partial<Payload<"purchase-order">> = {}) =>
  signDocument(crypto, by, "purchase-order", { ...po.payload, attempt: 2, ...over });
function soldTwice(other: { id: string; envelope: unknown }, by = signers.orders, over: Partial<Payload<"opening">> = {}) {
  const second = signDocument(crypto, by, "opening", { ...opening.payload, lease: other.id, ...over }).envelope;
  const { history } = packing;
  return {
    ...{ format: EVIDENCE_FORMAT, kind: "sold-twice", keySets: history.keySets, epochs: [] },
    documents: [po.envelope, opening.envelope, other.envelope, second],
  };
}

describe("whose word it is", () => {
  it.each(guilty().map((each, i) => [`${i} ${each.kind}`, each] as const))("is said of every kind: %s", (_, evidence) => {
    const pinned = verified(evidence);
    expect(pinned.ok).toBe(true);
    expect(pinned.lines.map(({ check }) => check)).toEqual([evidence.kind, "documents", "keys"]);
    expect(pinned.lines[0]?.says).toMatch(/\(rule E[1-5]\)$/);
    expect(pinned.lines[1]?.says).toMatch(/ by (the broker's key|a server key of p_)/);
    // the operator's key is enough
    const { operatorKey } = pins;
    expect(verified(evidence, { operatorKey }).ok).toBe(true);
    // nothing is proved by keys that the file itself brings, to whoever knows nothing or another market
    for (const trust of [null, { ...pins, origin: "another/market" }]) {
      const { ok, lines } = verified(evidence, trust);
      expect(ok).toBe(false);
      expect(lines.filter(({ status }) => status === "proved")).toEqual([]);
      expect(lines.find(({ check }) => check === "keys")?.says).toContain(
        `by keys that the file itself brings: operator key ${operatorKey}`,
      );
    }
  });

  it.each(guilty().map((each, i) => [`${i} ${each.kind}`, each] as const))(
    "is nobody's where its maker made the keys: %s",
    (_, evidence) => {
      const made = new Cast({ crypto, createSigner }, 99);
      const forged = { ...evidence, keySets: [keySetOf(made, made.signers.operator)] };
      // what is signed by the market's keys stands by the verifier's own pins, and by nothing that the file says
      expect(verified(forged).ok).toBe(true);
      expect(verified(forged, { operatorKey: pins.operatorKey }).ok).toBe(false);
      const others = { ...pins, keys: made.pins.keys, operatorKey: made.pins.operatorKey };
      if (evidence.kind !== "contradiction") expect(line(evidence, others)).toMatchObject({ status: "failed" });
      expect(verified({ ...evidence, keySets: [] }, null).ok).toBe(false);
    },
  );

  it("is not the broker's where a log, a key set or an epoch is made up against it", () => {
    const made = new Cast({ crypto, createSigner }, 99);
    // its log key signed by another operator: an honest broker's promise beside a log that its accuser wrote
    const log = new PaperEpoch(made, "e1", null);
    const gone = "ab".repeat(32);
    const promise = signPromise(signers.receipts, { origin: pins.origin, epoch: log.id, size: 1, leaf: gone, mergeBy: 1_500 });
    log.filler(2_000, "a");
    const keys = { ...pins.keys, checkpoints: made.key("checkpoints") };
    const forging: Packing = { crypto, market: { ...pins, keys }, history: historyOf(made, [log]) };
    const evidence = packBrokenPromise(forging, promise, log.note(), log.bytes, toBase64);
    expect(evidence).not.toBeNull();
    const brought = { ...evidence, keySets: [keySetOf(cast, made.signers.operator, keys)] };
    expect(line(brought)).toMatchObject({ status: "failed" });
    expect(line(brought, { operatorKey: pins.operatorKey })).toMatchObject({ status: "failed" });
    expect(line(brought, null)).toMatchObject({ status: "claimed" });
    expect(line(evidence, null)).toMatchObject({ status: "failed" });
  });
});

describe("a contradiction", () => {
  it("convicts a server's key by its role, and not where nothing shows it", () => {
    expect(line(contradiction(claim.envelope, lie()))).toMatchObject({
      ...{ status: "proved", check: "contradiction" },
      says: expect.stringContaining(`a server key of ${cast.owner} signed two documents of kind claim`),
    });
    expect(line(contradiction(claim.envelope, lie(), {}))).toMatchObject({
      ...{ status: "claimed", says: expect.stringContaining("nothing in it shows whose key this is") },
    });
    expect(line(contradiction(claim.envelope, claim.envelope))).toMatchObject({ status: "failed" });
    const another = signDocument(crypto, signers.device, "claim", claim.payload).envelope;
    expect(line(contradiction(another, lie(signers.device)))).toMatchObject({ status: "failed" });
    expect(packContradiction(packing, [claim.envelope, claim.envelope], grants)).toBeNull();
  });

  it("convicts a broker by its own key, and no broker by another's", () => {
    expect(line(contradiction(...openings(signers.orders)))).toMatchObject({
      ...{ status: "proved", says: expect.stringContaining("the broker's key for orders signed two documents of kind opening") },
    });
    for (const by of [signers.receipts, signers.stranger, signers.server])
      expect(line(contradiction(...openings(by)))).toMatchObject({ status: "failed" });
  });

  it("is none of a key that works in two markets, nor of one that a party's rotation has ended", () => {
    const elsewhere = signDocument(crypto, signers.server, "claim", { ...claim.payload, origin: "another/market", usedMs: 5 });
    expect(line(contradiction(claim.envelope, elsewhere.envelope))).toMatchObject({ status: "failed" });
    const order = play.of("order").document;
    const orderLie = signDocument(crypto, signers.customer, "order", { ...order.payload, budgetNanos: "5" }).envelope;
    const byRoot = signDocument(crypto, signers.customer, "order", order.payload).envelope;
    expect(line(contradiction(byRoot, orderLie))).toMatchObject({ status: "proved" });
    const rotation = signDocument(crypto, signers.customer, "key-rotate", {
      ...{ origin: pins.origin, seen: null, party: cast.customer, newRootKey: cast.key("customer-2"), newRecoveryKey: null },
    }).envelope;
    // whoever has an old key may sign anything with it, at any time
    expect(line(contradiction(byRoot, orderLie, { grants: [...grants, rotation] }))).toMatchObject({ status: "failed" });
    const again = signDocument(crypto, signers["customer-2"], "order", { ...order.payload, budgetNanos: "5" }).envelope;
    expect(line(contradiction(byRoot, again, { grants: [...grants, rotation] }))).toMatchObject({ status: "failed" });
  });

  it("is read from a file that is evidence, and from no other", () => {
    expect(isEvidence(contradiction(claim.envelope, lie()))).toBe(true);
    for (const other of [null, 1, "x", [], {}, { format: "other" }]) expect(isEvidence(other)).toBe(false);
    expect(line({ format: EVIDENCE_FORMAT, kind: "contradiction" })).toMatchObject({ check: "file", status: "failed" });
    expect(line({ format: EVIDENCE_FORMAT, kind: "contradiction", first: claim.envelope, second: lie(), grants })).toMatchObject({
      status: "proved",
    });
  });
});

describe("two purchase orders for one slot, around a restore", () => {
  const first = A.say("orders", "purchase-order", po.payload);
  const before = new PaperEpoch(cast, "e1", null);
  before.log(first);
  before.filler(1_100, "after it");
  const B = (size: number, id = "e2") => new PaperEpoch(cast, id, before.state(size));
  const second = (epoch: PaperEpoch) => epoch.say("orders", "purchase-order", { ...po.payload, server: cast.referee });
  const packed = (epochs: readonly PaperEpoch[], of: PaperEpoch, place = before.place(first)) =>
    packContradiction(packingOf([before, ...epochs]), [first.envelope, second(of).envelope], [], place);

  it("are honest where the restore has lost the first, and a lie where it still binds", () => {
    const [lost, kept] = [B(1), B(2)];
    expect(packed([lost], lost)).toBeNull();
    const evidence = packed([kept], kept);
    expect(line(evidence)).toMatchObject({ status: "proved", says: expect.stringContaining("still binds after the restore") });
    // in both orders
    expect(line({ ...evidence, first: evidence?.second, second: evidence?.first })).toMatchObject({ status: "proved" });
    // the place must be the document's, in a log that the broker signed
    expect(line({ ...evidence, place: null })).toMatchObject({ status: "failed" });
    expect(line({ ...evidence, place: { ...evidence?.place, index: 0 } })).toMatchObject({ status: "failed" });
    expect(line({ ...evidence, place: { ...evidence?.place, checkpoint: before.note(3, signers.stranger) } })).toMatchObject({
      status: "failed",
    });
    expect(line({ ...evidence, epochs: [] })).toMatchObject({ status: "failed" });
  });

  it("are a lie over two restores, and where the new log has the first again", () => {
    const middle = B(2);
    const last = new PaperEpoch(cast, "e3", middle.state());
    expect(line(packed([middle, last], last))).toMatchObject({ status: "proved" });
    expect(packed([last], last)).toBeNull();
    const again = B(2);
    again.log(first);
    expect(line(packed([again], again, again.place(first)))).toMatchObject({ status: "proved" });
  });

  it("are honest in two restores of one backup, of which each knows nothing of the other", () => {
    const [b, c] = [B(1), B(1, "e3")];
    const inB = second(b);
    b.log(inB);
    const inC = c.say("orders", "purchase-order", { ...po.payload, server: cast.strangerServer });
    const pack = packContradiction(packingOf([before, b, c]), [inB.envelope, inC.envelope], [], b.place(inB));
    expect(pack).toBeNull();
    expect(packFork(packing, b.note(), c.note())).toBeNull();
    expect(packContradiction(packing, [b.document.envelope, c.document.envelope])).toBeNull();
  });

  it("are a lie where the broker began a second log without a word of the first", () => {
    const undeclared = new PaperEpoch(cast, "e2", null);
    const evidence = packContradiction(packing, [before.document.envelope, undeclared.document.envelope]);
    expect(line(evidence)).toMatchObject({ status: "proved", says: expect.stringContaining("two documents of kind epoch") });
  });
});

describe("one slot opened twice", () => {
  it("convicts the broker whose key signed all four", () => {
    expect(line(soldTwice(secondOrder(signers.orders)))).toMatchObject({ status: "proved" });
    expect(line(soldTwice(secondOrder(signers.orders), signers.receipts))).toMatchObject({ status: "failed" });
    expect(line(soldTwice(secondOrder(signers.stranger), signers.stranger))).toMatchObject({ status: "failed" });
    expect(line(soldTwice(secondOrder(signers.orders), signers.orders, { lease: "ab".repeat(32) }))).toMatchObject({ status: "failed" });
    expect(line(soldTwice(secondOrder(signers.orders, { slot: 1 })))).toMatchObject({ status: "failed" });
    expect(line(soldTwice(po))).toMatchObject({ status: "failed" });
    const others = { ...pins, keys: { ...pins.keys, purchaseOrders: "ab".repeat(32) } };
    expect(line({ ...soldTwice(secondOrder(signers.orders)), keySets: [] }, others)).toMatchObject({ status: "failed" });
  });

  it("does not convict one that offers a slot again that nobody took, nor one that a restore has undone", () => {
    // matched anew: the first order was never opened
    const again = secondOrder(signers.orders);
    expect(line({ ...soldTwice(again), documents: [po.envelope, opening.envelope, again.envelope, opening.envelope] })).toMatchObject({
      status: "failed",
    });
    const seen = { epoch: "e2".repeat(16), size: 0, root: "00".repeat(32) };
    expect(line(soldTwice(secondOrder(signers.orders, { seen }), signers.orders, { seen }))).toMatchObject({ status: "failed" });
  });
});

describe("a fork", () => {
  const log = new PaperEpoch(cast, "e1", null);
  for (let i = 0; i < 3; i++) log.filler(1_000 + i, `${i}`);

  it("convicts the log's key of two roots of one size, and nobody of two logs, sizes or keys", () => {
    const other = log.note(4, signers.checkpoints, "bb".repeat(32));
    expect(line(packFork(packing, log.note(), other))).toMatchObject({ status: "proved" });
    expect(packFork(packing, log.note(), log.note())).toBeNull();
    expect(packFork(packing, log.note(), log.note(3, signers.checkpoints, "bb".repeat(32)))).toBeNull();
    expect(packFork(packing, log.note(), new PaperEpoch(cast, "e2", null).note(1))).toBeNull();
    expect(packFork(packing, log.note(), log.note(4, signers.stranger, "bb".repeat(32)))).toBeNull();
  });

  it("is one that the next epoch's document tells: it says otherwise of the log that it follows", () => {
    const next = (previous: Partial<ReturnType<typeof log.state>>) => new PaperEpoch(cast, "e2", { ...log.state(3), ...previous });
    const evidence = packFork(packing, log.note(3), next({ root: "bb".repeat(32) }).document.envelope);
    expect(line(evidence)).toMatchObject({ status: "proved", check: "fork" });
    expect(packFork(packing, log.note(3), next({}).document.envelope)).toBeNull();
    expect(packFork(packing, log.note(4), next({ root: "bb".repeat(32) }).document.envelope)).toBeNull();
    expect(packFork(packing, log.note(3), log.document.envelope)).toBeNull();
  });
});

describe("a promise", () => {
  const MINE = utf8(JSON.stringify({ at: 1_000, what: "mine" }));
  const LEAF = toHex(leafHash(crypto, MINE));
  const promised = (over: object = {}, by = signers.receipts) =>
    signPromise(by, { origin: pins.origin, epoch: A.id, size: 2, leaf: LEAF, mergeBy: 1_500, ...over });
  const logOf = (...leaves: readonly (number | "mine")[]) => {
    const log = new PaperEpoch(cast, "e1", null, 900);
    for (const [i, at] of leaves.entries()) {
      if (at === "mine") log.leaf(LEAF, MINE);
      else log.filler(at, `${i}`);
    }
    return log;
  };
  const pack = (log: PaperEpoch, promise = promised(), epochs: readonly PaperEpoch[] = [log]) =>
    packBrokenPromise(packingOf(epochs), promise, log.note(), log.bytes, toBase64);

  it("that was kept, or whose time is not over in the log, convicts nobody", () => {
    expect(pack(logOf(950, "mine", 2_000))).toBeNull();
    expect(pack(logOf(950, 1_400))).toBeNull();
  });

  it.each([
    ["that was dropped", logOf(950, 2_000, 2_100)],
    ["that was merged after later documents", logOf(950, 2_000, "mine")],
  ])("%s convicts the broker", (_, log) => {
    const evidence = pack(log);
    expect(line(evidence)).toMatchObject({ status: "proved", says: expect.stringContaining("the broker promised a leaf") });
    for (const over of [
      { leaves: evidence?.leaves.slice(1) },
      { promise: { ...promised(), mergeBy: 1 } },
      { promise: { ...promised(), epoch: "e2".repeat(16) } },
      { promise: { ...promised(), size: 0 } },
      { later: { ...evidence?.later, index: 0 } },
    ])
      expect(line({ ...evidence, ...over })).toMatchObject({ status: "failed" });
  });

  it("is not broken by what the log had before it was given, whatever the clock said then", () => {
    // the clock was an hour ahead, and was set back
    expect(pack(logOf(3_600_000, "mine"))).toBeNull();
    expect(pack(logOf(3_600_000, 1_200), promised({ size: 3 }))).toBeNull();
    expect(pack(logOf(3_600_000, 1_200, 2_000), promised({ size: 3 }))).not.toBeNull();
    // the first leaf of an epoch is as late as the restore
    const log = new PaperEpoch(cast, "e1", null, 9_000);
    expect(pack(log, promised({ size: 0 }))).toBeNull();
  });

  it("of an epoch that a restore has cut is void, and lost by the broker's own word", () => {
    const before = logOf(950);
    const after = new PaperEpoch(cast, "e2", before.state(), 5_000);
    after.filler(950, "again");
    const gap = after.say("receipts", "gap", { from: 1, to: 2 });
    after.log(gap, "", 5_001);
    expect(line(pack(after, promised(), [before, after]))).toMatchObject({
      ...{ status: "proved", says: expect.stringMatching(/has lost it in its restore.*its debt \(rule E5\)$/) },
    });
    // nothing is known of the one following the other
    expect(pack(after, promised(), [])).toBeNull();
    // it was restored, and stands before anything new
    const kept = new PaperEpoch(cast, "e2", before.state(), 5_000);
    kept.leaf(LEAF, MINE);
    kept.log(gap, "", 5_001);
    expect(pack(kept, promised(), [before, kept])).toBeNull();
    // what was restored comes first, and may still come
    const yet = new PaperEpoch(cast, "e2", before.state(), 5_000);
    yet.filler(2_000, "restored too");
    expect(pack(yet, promised(), [before, yet])).toBeNull();
  });

  it("is not broken by a promise that another key has given", () => {
    expect(pack(logOf(950, 2_000), promised({}, signers.stranger))).toBeNull();
    expect(pack(logOf(950, 2_000), promised({ origin: "another/market" }))).toBeNull();
  });
});

describe("what a restore has lost", () => {
  const log = new PaperEpoch(cast, "e1", null);
  for (let i = 0; i < 4; i++) log.filler(1_000 + i, `${i}`);
  const witness = (by: Signer, active = true) =>
    signDocument(crypto, by, "witness", {
      ...{ origin: pins.origin, seen: null, name: "w1", key: cast.key("witness"), active, clientId: "ab".repeat(16) },
    }).envelope;
  const cosigned = log.note() + cosign(crypto, signers.witness, "w1", log.note(), 5);
  const next = (size: number, id = "e2") => new PaperEpoch(cast, id, log.state(size));
  const pack = (epochs: readonly PaperEpoch[], in_: PaperEpoch, note = cosigned, witnesses: readonly Envelope[] = []) =>
    packLoss(packingOf([log, ...epochs], witnesses), note, in_.document.envelope);

  it("is said in leaves, with whose word it is and what is void", () => {
    const restored = next(3);
    const says = line(pack([restored], restored, cosigned, [witness(signers.operator)]))?.says;
    expect(says).toContain("lost 2 leaves that it had signed, cosigned by w1");
    expect(says).toContain("from leaf 3 on is void by its own word, and its debt (rule E5)");
    for (const named of [[], [witness(signers.stranger)], [witness(signers.operator, false)]])
      expect(line(pack([restored], restored, cosigned, named))?.says).toContain("cosigned by no witness named in it");
  });

  it("is nothing where all that was signed was restored", () => {
    const restored = next(5);
    expect(pack([restored], restored)).toBeNull();
    expect(pack([next(3)], next(3), log.note(3))).toBeNull();
    // an epoch lacks nothing of one that comes after it
    expect(packLoss(packingOf([log, restored]), restored.note(), log.document.envelope)).toBeNull();
  });

  it("is a whole epoch where the same backup was restored again", () => {
    const [b, c] = [next(5), next(5, "e3")];
    b.filler(1_000, "in b");
    expect(line(pack([b, c], c, b.note()))?.says).toContain("lost 2 leaves");
    // nothing shows that they have anything to do with each other
    expect(packLoss(packingOf([]), b.note(), new PaperEpoch(cast, "e4", null).document.envelope)).toBeNull();
  });
});

it("these are of the epoch that the stories are told in", () => expect(A.id).toBe(EPOCH));
