/** What may be said only once, by each kind of document: who is convicted, and who never is. */
import { EMPTY_BYTES_DIGEST } from "@xenoservers/market";
import { KINDS, KIND_TABLE, signDocument, type Envelope, type Kind, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { CUSTOMER, type KeyName } from "../testing/cast.ts";
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
].map(tell);
const [first] = STORIES;
if (!first) throw new Error("no story");
const { cast } = first;
const envelopes = (story: Story): Envelope[] => story.play.filed.map(({ document }) => document.envelope);
const grants = envelopes(first);
const known = knownSigners(crypto, cast.pins, grants);
const NEVER = "ab".repeat(32);

/** The first document of a kind in any of the stories, with its signer. */
function said(kind: Kind) {
  const filed = STORIES.flatMap(({ play }) => play.filed);
  return filed.find(({ document }) => document.kind === kind) ?? null;
}
/** The same said again with other contents, by the same key or another. */
function again<K extends Kind>(kind: K, over: Partial<Payload<K>>, by?: KeyName): [Envelope, Envelope] {
  const found = said(kind);
  if (!found) throw new Error(`no ${kind}`);
  const payload = { ...found.document.payload, ...over } as Payload<K>;
  return [found.document.envelope, signDocument(crypto, cast.signers[by ?? found.by], kind, payload).envelope];
}
const seen = { size: 9, root: NEVER };

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
};
const once = (Object.keys(LIES) as Kind[]).filter((kind) => KIND_TABLE[kind].once !== null);

describe("two documents of one signer", () => {
  it("has a case for every kind that may be said once", () => {
    const all = KINDS.filter((kind) => KIND_TABLE[kind].once !== null);
    // an acceptance has nothing to contradict itself in; a batch and an epoch concern no lease
    expect(all.filter((kind) => !once.includes(kind)).sort()).toEqual(["acceptance", "batch", "epoch"]);
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
      const may = by === honest || (kind === "order" && CUSTOMER.includes(by));
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

describe("an honest server", () => {
  it("that lost its disk goes on under another incarnation", () => {
    expect(contradictionIn(crypto, ...again("claim", { incarnation: 2, usedMs: 5 }))).toBeNull();
  });

  it("that ran the job again signs the same with another nonce, time and last claim", () => {
    expect(contradictionIn(crypto, ...again("result", { nonce: NEVER, usedMs: 5, lastClaim: NEVER, detail: "again" }))).toBeNull();
  });

  it("that failed after it had a result, or was stopped elsewhere the second time, has not lied", () => {
    const failed = { reason: "server-failed", exitCode: null, fuel: "0", memoryHash: null, stdoutDigest: EMPTY_BYTES_DIGEST } as const;
    for (const over of [failed, { reason: "customer-stop", exitCode: null, memoryHash: null, stdoutDigest: NEVER } as const]) {
      const [one, other] = again("result", over);
      expect(contradictionIn(crypto, one, other)).toBeNull();
      expect(contradictionIn(crypto, other, one)).toBeNull();
    }
  });

  it("that could not trace the job at first could later", () => {
    expect(contradictionIn(crypto, ...again("trace", { roots: [], detail: "the disk was full" }))).toBeNull();
    expect(contradictionIn(crypto, ...again("trace", { roots: [], detail: "" }))).not.toBeNull();
  });

  it("that counts its offers anew has not lied", () => {
    expect(contradictionIn(crypto, ...again("offer", { validUntil: 5 }))).toBeNull();
  });
});
