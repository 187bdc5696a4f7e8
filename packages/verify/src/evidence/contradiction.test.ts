/** What may be said only once, by each kind of document: who is convicted, and who never is. */
import { EMPTY_BYTES_DIGEST } from "@xenoservers/market";
import {
  KINDS,
  KIND_TABLE,
  canonicalText,
  parseDocument,
  rowOf,
  signDocument,
  type AnyDocument,
  type Envelope,
  type Kind,
  type Payload,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { CUSTOMER, type KeyName } from "../testing/cast.ts";
import { anyEdit } from "../testing/edits.ts";
import { Rng } from "../testing/rng.ts";
import { EPOCH } from "../testing/script.ts";
import { storyOf, type Story } from "../testing/stories.ts";
import { contradictionIn, findContradiction, knownSigners } from "./contradiction.ts";

const tell = (name: string): Story => storyOf({ crypto, createSigner }, name, 13);
const STORIES = [
  "a replica that showed what it had committed to",
  "extended twice, to its longest time",
  "the broker was away too long",
  "a lie, shown by one segment",
  "objected to, and ruled on",
  "convicted by a referee that is wrong, and borne out by another",
  "a machine, moved to another server of its owner",
].map(tell);
const [first] = STORIES;
if (!first) throw new Error("no story");
const { cast } = first;
const envelopes = (story: Story): Envelope[] => story.play.filed.map(({ document }) => document.envelope);
const grants = envelopes(first);
const known = knownSigners(crypto, cast.pins, grants);
const NEVER = "ab".repeat(32);

/** What concerns no lease, and stands in no story. */
const APART: { document: AnyDocument; by: KeyName }[] = [
  { by: "customer", document: signed("customer", "batch", { party: cast.customer, ...{ account: cast.account, budgetNanos: "5" } }) },
  { by: "operator", document: signed("operator", "market-keys", { keys: cast.pins.keys, sequence: 1 }) },
  { by: "receipts", document: signed("receipts", "epoch", { epoch: EPOCH, previous: null, reason: "", at: 7 }) },
];
function signed(by: KeyName, kind: "batch" | "market-keys" | "epoch", own: object): AnyDocument {
  const more = kind === "batch" ? { expiresAt: 9, clientId: "ab".repeat(16) } : {};
  const payload = { origin: cast.pins.origin, seen: null, ...own, ...more } as unknown as Payload<typeof kind>;
  return signDocument(crypto, cast.signers[by], kind, payload) as unknown as AnyDocument;
}

/** The first document of a kind in any of the stories, with its signer. */
function said(kind: Kind): { document: AnyDocument; by: KeyName } | null {
  const filed = [...STORIES.flatMap(({ play }) => play.filed), ...APART];
  return filed.find(({ document }) => document.kind === kind) ?? null;
}
/** The same said again with other contents, by the same key or another. */
function again<K extends Kind>(kind: K, over: Partial<Payload<K>>, by?: KeyName): [Envelope, Envelope] {
  const found = said(kind);
  if (!found) throw new Error(`no ${kind}`);
  const payload = { ...found.document.payload, ...over } as Payload<K>;
  return [found.document.envelope, signDocument(crypto, cast.signers[by ?? found.by], kind, payload).envelope];
}
const seen = { epoch: EPOCH, size: 9, root: NEVER };
/** Another epoch of the log. */
const elsewhere = { ...seen, epoch: "e2".repeat(16) };

/** Per kind that may be said once: the same again with other contents. */
const LIES: { [K in Kind]?: Partial<Payload<K>> } = {
  order: { durationMsMax: 5 },
  "purchase-order": { holdNanos: "1" },
  opening: { at: 5 },
  commitment: { result: NEVER },
  reveal: { at: 5 },
  claim: { usedMs: 5 },
  "claim-receipt": { usedMs: 5 },
  amendment: { durationMsMax: 5 },
  move: { at: 5 },
  closing: { at: 5 },
  result: { stdoutDigest: NEVER },
  settlement: { dueNanos: "5" },
  "audit-round": { commitment: NEVER },
  gap: { to: 5_000_000_000_000 },
  ruling: { ownerNanos: "8" },
  trace: { roots: [NEVER] },
  draw: { referee: null },
  verdict: { why: "another" },
  review: { overturned: false },
  batch: { budgetNanos: "6" },
  "market-keys": { keys: { ...cast.pins.keys, receipts: NEVER } },
  epoch: { reason: "another" },
};
const once = (Object.keys(LIES) as Kind[]).filter((kind) => KIND_TABLE[kind].once !== null);

describe("two documents of one signer", () => {
  it("has a case for every kind that may be said once", () => {
    const all = KINDS.filter((kind) => KIND_TABLE[kind].once !== null);
    // an acceptance has nothing to contradict itself in
    expect(all.filter((kind) => !once.includes(kind))).toEqual(["acceptance"]);
  });

  it.each(once)("convict who says another %s", (kind) => {
    const [one, other] = again(kind, LIES[kind] ?? {});
    expect(contradictionIn(crypto, one, other)).toMatchObject({ kind, signer: one.signatures[0].keyid });
    expect(contradictionIn(crypto, other, one)).toMatchObject({ kind });
    expect(contradictionIn(crypto, one, other, known)).toMatchObject({ kind });
    expect(findContradiction(crypto, [one, other], known)).not.toBeNull();
  });

  it.each(once)("do not convict who says the same %s again, having seen more of the log", (kind) => {
    const [one, other] = again(kind, { seen } as Partial<Payload<Kind>>);
    expect(contradictionIn(crypto, one, other)).toBeNull();
    expect(contradictionIn(crypto, one, one)).toBeNull();
  });

  it.each(once)("do not convict anyone by a %s that another key has signed", (kind) => {
    const [one, other] = again(kind, LIES[kind] ?? {}, "stranger");
    expect(contradictionIn(crypto, one, other)).toBeNull();
  });

  it.each(once)("of kind %s convict nobody whose role could not have said it", (kind) => {
    const pair = (by: KeyName) => [again(kind, {}, by)[1], again(kind, LIES[kind] ?? {}, by)[1]] as const;
    const honest = said(kind)?.by;
    for (const by of [
      "stranger",
      "stranger-server",
      "operator",
      "orders",
      "receipts",
      "checkpoints",
      "customer",
      "device",
      "owner",
      "server",
    ] satisfies KeyName[]) {
      const found = contradictionIn(crypto, ...pair(by), known);
      const may = by === honest || ((kind === "order" || kind === "batch") && CUSTOMER.includes(by));
      expect(found !== null, `${kind} by ${by}`).toBe(may);
    }
  });

  it("are none in an honest lease, whatever is added of another", () => {
    for (const story of STORIES) expect(findContradiction(crypto, envelopes(story), known)).toBeNull();
    const [one, other] = [tell("completed by interval"), storyOf({ crypto, createSigner }, "completed by interval", 14)];
    expect(findContradiction(crypto, [...envelopes(one), ...envelopes(other)])).toBeNull();
  });
});

describe("what issue is made of", () => {
  it("two openings of one slot under attempts 1 and 2", () => {
    const opening = said("opening")?.document;
    const second = again("opening", { lease: NEVER, acceptance: NEVER });
    expect(opening && contradictionIn(crypto, ...second, known)).toMatchObject({ who: "broker", kind: "opening" });
    expect(contradictionIn(crypto, ...again("opening", { slot: 0, lease: NEVER }))).toBeNull();
  });

  it("two amendments after one, two commitments", () => {
    expect(contradictionIn(crypto, ...again("amendment", { holdNanos: "7" }), known)).toMatchObject({ who: "broker" });
    expect(contradictionIn(crypto, ...again("amendment", { previous: NEVER }))).toBeNull();
    expect(contradictionIn(crypto, ...again("commitment", { result: NEVER }), known)).toMatchObject({ who: "server" });
  });
});

const FAILED = { reason: "server-failed", exitCode: null, fuel: "0", memoryHash: null, stdoutDigest: EMPTY_BYTES_DIGEST } as const;

describe("a server that says two things of one lease", () => {
  it.each([
    ["it failed, and it completed", FAILED],
    ["another time", { usedMs: 5 }],
    ["another state of one segment", { stateRoot: NEVER }],
    ["another reason that is no outcome", { reason: "customer-stop", exitCode: null, memoryHash: null } as const],
  ])("is convicted of it in both orders: %s", (_, over) => {
    const [one, other] = again("result", over);
    const found = contradictionIn(crypto, one, other, known);
    expect(found).toMatchObject({ who: "server", kind: "result" });
    expect(contradictionIn(crypto, other, one, known)).toMatchObject({ signer: found?.signer, kind: "result" });
  });

  it("of two states of one segment is convicted whatever it lost", () => {
    expect(contradictionIn(crypto, ...again("result", { stateRoot: NEVER, incarnation: 2 }))).not.toBeNull();
  });
});

describe("a broker", () => {
  const broker = once.filter((kind) => rowOf(kind).once?.some(({ within }) => within === "epoch"));

  it.each(broker)("says a %s anew in another epoch, for a restore has undone the first", (kind) => {
    const [one, other] = again(kind, { ...LIES[kind], seen: elsewhere } as Partial<Payload<Kind>>);
    expect(contradictionIn(crypto, one, other)).toBeNull();
    expect(contradictionIn(crypto, other, one)).toBeNull();
  });

  it.each(broker)("that names no epoch in its %s speaks for all of them", (kind) => {
    const [one, other] = again(kind, { ...LIES[kind], seen: null } as Partial<Payload<Kind>>);
    expect(contradictionIn(crypto, one, other)).toMatchObject({ kind });
  });

  it("opens a round of audits again in another epoch, of whichever restore", () => {
    const round = (epoch: string, commitment: string) => again("audit-round", { epoch, commitment })[1];
    const name = elsewhere.epoch;
    expect(contradictionIn(crypto, round(EPOCH, NEVER), round(name, "cd".repeat(32)), known)).toBeNull();
    expect(contradictionIn(crypto, round(name, NEVER), round(name, "cd".repeat(32)), known)).toMatchObject({ who: "broker" });
  });

  it("begins its market once, and each epoch once", () => {
    const [first] = again("epoch", {});
    const begun = (over: Partial<Payload<"epoch">>) => again("epoch", over)[1];
    const previous = { epoch: EPOCH, size: 3, root: NEVER };
    expect(contradictionIn(crypto, first, begun({ epoch: "e2".repeat(16) }), known)).toMatchObject({ who: "broker" });
    expect(contradictionIn(crypto, first, begun({ epoch: "e2".repeat(16), previous }), known)).toBeNull();
    const [b, c] = [begun({ epoch: "e2".repeat(16), previous }), begun({ epoch: "e3".repeat(16), previous })];
    // the same backup, restored twice
    expect(contradictionIn(crypto, b, c, known)).toBeNull();
    expect(contradictionIn(crypto, b, begun({ epoch: "e2".repeat(16), previous: { ...previous, size: 2 } }), known)).not.toBeNull();
  });
});

describe("what convicts is decided by the table alone", () => {
  const rng = new Rng(7);
  const parsed = (envelope: Envelope): AnyDocument => {
    const read = parseDocument(crypto, envelope);
    if (!read.ok) throw new Error(read.code);
    return read.document;
  };
  /** Null where the edit is not of the kind's schema. */
  const edited = (kind: Kind): readonly [Envelope, Envelope] | null => {
    const found = said(kind);
    const [story] = STORIES;
    if (!found || !story) throw new Error(`no ${kind}`);
    try {
      return again(kind, anyEdit(rng, found.document, story.play) as Partial<Payload<Kind>>);
    } catch {
      return null;
    }
  };

  /** As the table has it, written once more: some entry has one key of both and says two things. */
  function expected<K extends Kind>(kind: K, one: Payload<K>, other: Payload<K>): boolean {
    const [a, b] = [one.seen?.epoch ?? null, other.seen?.epoch ?? null];
    return (rowOf(kind).once ?? []).some(({ by, within, says }) => {
      if (says === "outcome" || by(one) !== by(other)) return false;
      const [mine, theirs] = [says(one), says(other)];
      const isOneEpoch = within === "ever" || a === null || b === null || a === b;
      return isOneEpoch && mine !== null && theirs !== null && canonicalText(mine) !== canonicalText(theirs);
    });
  }

  it.each(KINDS.filter((kind) => KIND_TABLE[kind].once !== null))("for a %s with any field changed, in both orders", (kind) => {
    let convicted = 0;
    for (let i = 0; i < 60; i++) {
      const pair = edited(kind);
      if (!pair) continue;
      const [one, other] = pair;
      const [a, b] = [parsed(one), parsed(other)];
      const found = contradictionIn(crypto, one, other) !== null;
      expect(contradictionIn(crypto, other, one) !== null).toBe(found);
      // what only the role forbids (a server's id that is not its key's) is no statement
      const mayBoth = !("server" in b.payload) || !("server" in a.payload) || a.payload.server === b.payload.server;
      const should = expected(kind, a.payload, b.payload) && (mayBoth || rowOf(kind).signers.some(({ by }) => by !== "party"));
      const isOutcome = kind === "result" && found && !should;
      if (!isOutcome) expect(found, canonicalText(b.payload as never)).toBe(should);
      if (found) convicted++;
    }
    expect(convicted > 0).toBe(kind !== "acceptance");
  });
});

describe("an honest server", () => {
  it("that lost its disk goes on under another incarnation", () => {
    expect(contradictionIn(crypto, ...again("claim", { incarnation: 2, usedMs: 5 }))).toBeNull();
  });

  it("that lost its disk and ran the job again signs the same with another nonce, time and last claim", () => {
    const over = { nonce: NEVER, usedMs: 5, lastClaim: NEVER, detail: "again" };
    expect(contradictionIn(crypto, ...again("result", { ...over, incarnation: 2 }))).toBeNull();
    expect(contradictionIn(crypto, ...again("commitment", { incarnation: 2, result: NEVER }))).toBeNull();
    // one that lost nothing knows what it has said
    expect(contradictionIn(crypto, ...again("result", over))).not.toBeNull();
    expect(contradictionIn(crypto, ...again("result", { nonce: NEVER }))).toBeNull();
  });

  it("that lost its disk and what it had come to, or was stopped elsewhere the second time, has not lied", () => {
    for (const over of [FAILED, { reason: "customer-stop", exitCode: null, memoryHash: null, stdoutDigest: NEVER } as const]) {
      const [one, other] = again("result", { ...over, incarnation: 2 });
      expect(contradictionIn(crypto, one, other)).toBeNull();
      expect(contradictionIn(crypto, other, one)).toBeNull();
    }
  });

  it("that lost its disk under a guest that does not run alike everywhere has not lied", () => {
    const plain = { engine: "qemu-8", memoryHash: null, stateRoot: null };
    const [, one] = again("result", plain);
    const [, other] = again("result", { ...plain, incarnation: 2, exitCode: 3, outputDigest: NEVER });
    expect(contradictionIn(crypto, one, other)).toBeNull();
    expect(contradictionIn(crypto, ...again("result", { incarnation: 2, exitCode: 3 }))).not.toBeNull();
  });

  it("that could not trace the job at first could later", () => {
    expect(contradictionIn(crypto, ...again("trace", { roots: [], detail: "the disk was full" }))).toBeNull();
    expect(contradictionIn(crypto, ...again("trace", { roots: [], detail: "" }))).not.toBeNull();
  });

  it("that counts its offers anew has not lied", () => {
    expect(contradictionIn(crypto, ...again("offer", { validUntil: 5 }))).toBeNull();
  });
});
