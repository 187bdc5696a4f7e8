/** Evidence: a key is convicted by its own signatures, and nobody by what somebody else has made up. */
import {
  EVIDENCE_FORMAT,
  leafHash,
  rootOfLeaves,
  signCheckpoint,
  signDocument,
  signPromise,
  toBase64,
  toHex,
  utf8,
  type MarketPins,
  type Payload,
  type Signer,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { storyOf } from "../testing/stories.ts";
import { isEvidence, packBrokenPromise, packContradiction, packFork, verifyEvidence } from "./evidence.ts";

const story = storyOf({ crypto, createSigner }, "completed by interval", 17);
const { cast, play } = story;
const { pins, signers } = cast;
const grants = play.filed.filter(({ isLeaf, isAside }) => isLeaf && !isAside).map(({ document }) => document.envelope);
const line = (evidence: unknown, pinned: MarketPins | null = pins) => verifyEvidence(crypto, structuredClone(evidence), pinned).lines[0];
const elsewhere: MarketPins = { ...pins, origin: "another/market" };

describe("a contradiction", () => {
  const claim = play.of("claim", "claim 1").document;
  const lie = (by: Signer = signers.server) => signDocument(crypto, by, "claim", { ...claim.payload, usedMs: 5 }).envelope;
  const opening = play.of("opening").document;
  const openings = (by: Signer) =>
    [
      signDocument(crypto, by, "opening", opening.payload).envelope,
      signDocument(crypto, by, "opening", { ...opening.payload, at: 5 }).envelope,
    ] as const;

  it("convicts a server's key, and names its owner where the grants are in it", () => {
    expect(line(packContradiction(claim.envelope, lie()))).toMatchObject({ status: "proved", check: "contradiction" });
    expect(line(packContradiction(claim.envelope, lie(), grants))?.says).toContain(`of ${cast.owner} signed two documents of kind claim`);
    expect(line(packContradiction(claim.envelope, lie(), grants), null)?.says).toContain(cast.owner);
    expect(line(packContradiction(claim.envelope, claim.envelope))).toMatchObject({ status: "failed" });
    const another = signDocument(crypto, signers.device, "claim", claim.payload).envelope;
    expect(line(packContradiction(another, lie(signers.device), grants))).toMatchObject({ status: "failed" });
  });

  it("convicts a broker by its pinned key, and no broker by another's", () => {
    expect(line(packContradiction(...openings(signers.orders)))).toMatchObject({
      status: "proved",
      says: expect.stringContaining("the market you are logged in to"),
    });
    for (const by of [signers.receipts, signers.stranger, signers.server])
      expect(line(packContradiction(...openings(by)))).toMatchObject({ status: "failed" });
    expect(line(packContradiction(...openings(signers.orders)), null)).toMatchObject({
      status: "proved",
      says: expect.stringMatching(/^the key /),
    });
    expect(line(packContradiction(...openings(signers.orders)), elsewhere)).toMatchObject({
      status: "proved",
      says: expect.stringMatching(/^the key /),
    });
  });

  it("is read from a file that is evidence, and from no other", () => {
    expect(isEvidence(packContradiction(claim.envelope, lie()))).toBe(true);
    for (const other of [null, 1, "x", [], {}, { format: "other" }]) expect(isEvidence(other)).toBe(false);
    expect(line({ format: EVIDENCE_FORMAT, kind: "contradiction" })).toMatchObject({ check: "file", status: "failed" });
    const { grants: _, ...without } = packContradiction(claim.envelope, lie());
    expect(line(without)).toMatchObject({ status: "proved" });
  });
});

describe("one slot opened twice", () => {
  const po = play.of("purchase-order").document;
  const opening = play.of("opening").document;
  const second = (by: Signer, over: Partial<Payload<"purchase-order">> = {}) =>
    signDocument(crypto, by, "purchase-order", { ...po.payload, attempt: 2, ...over });
  const pack = (other: { id: string; envelope: unknown }, by = signers.orders, lease = other.id) => ({
    ...{ format: EVIDENCE_FORMAT, kind: "sold-twice" },
    documents: [po.envelope, opening.envelope, other.envelope, signDocument(crypto, by, "opening", { ...opening.payload, lease }).envelope],
  });

  it("convicts the broker whose key signed all four", () => {
    expect(line(pack(second(signers.orders)))).toMatchObject({ status: "proved" });
    expect(line(pack(second(signers.orders), signers.receipts))).toMatchObject({ status: "failed" });
    expect(line(pack(second(signers.stranger), signers.stranger))).toMatchObject({ status: "failed" });
    expect(line(pack(second(signers.orders), signers.orders, "ab".repeat(32)))).toMatchObject({ status: "failed" });
    expect(line(pack(second(signers.orders, { slot: 1 })))).toMatchObject({ status: "failed" });
    expect(line(pack(po))).toMatchObject({ status: "failed" });
    expect(line(pack(second(signers.orders)), { ...pins, keys: { ...pins.keys, purchaseOrders: "ab".repeat(32) } })).toMatchObject({
      status: "failed",
    });
  });
});

describe("a fork", () => {
  const note = (by: Signer, root: string, origin = `${pins.origin}/log/1`) =>
    signCheckpoint(crypto, by, { origin, size: 9, root: root.repeat(32) });
  const fork = (by: Signer) => ({
    format: EVIDENCE_FORMAT,
    kind: "fork",
    key: by.publicKey,
    first: note(by, "aa"),
    second: note(by, "bb"),
  });

  it("convicts the log's key, and no market whose key it is not", () => {
    expect(line(fork(signers.checkpoints))).toMatchObject({
      status: "proved",
      says: expect.stringContaining("the market you are logged in to"),
    });
    expect(line(fork(signers.stranger))).toMatchObject({ status: "failed", says: expect.stringContaining("is not its key") });
    expect(line(fork(signers.stranger), null)).toMatchObject({ status: "proved" });
    expect(packFork(crypto, cast.key("checkpoints"), note(signers.checkpoints, "aa"), note(signers.checkpoints, "aa"))).toBeNull();
    expect(
      packFork(crypto, cast.key("checkpoints"), note(signers.checkpoints, "aa"), note(signers.checkpoints, "bb", "x/log/1")),
    ).toBeNull();
    expect(packFork(crypto, cast.key("checkpoints"), note(signers.checkpoints, "aa"), note(signers.stranger, "bb"))).toBeNull();
  });
});

describe("a promise", () => {
  const leaf = (at: number, what: string): Uint8Array => utf8(JSON.stringify({ at, what }));
  const hash = (bytes: Uint8Array): string => toHex(leafHash(crypto, bytes));
  const noteOf = (by: Signer, leaves: readonly Uint8Array[]): string => {
    const root = toHex(
      rootOfLeaves(
        crypto,
        leaves.map((each) => leafHash(crypto, each)),
      ),
    );
    return signCheckpoint(crypto, by, { origin: `${pins.origin}/log/1`, size: leaves.length, root });
  };
  const mine = leaf(1_000, "mine");
  const promise = signPromise(signers.receipts, pins.origin, hash(mine), 1_500);
  const pack = (leaves: readonly Uint8Array[], given = promise, log = signers.checkpoints) =>
    packBrokenPromise(crypto, log.publicKey, given, noteOf(log, leaves), leaves, toBase64);
  const dropped = [leaf(900, "a"), leaf(2_000, "b"), leaf(2_100, "c")];

  it("that was kept, or whose time is not over in the log, convicts nobody", () => {
    expect(pack([leaf(900, "a"), mine, leaf(2_000, "b")])).toBeNull();
    expect(pack([leaf(900, "a"), leaf(1_400, "b")])).toBeNull();
  });

  it.each([
    ["that was dropped", dropped],
    ["that was merged after later documents", [leaf(900, "a"), leaf(2_000, "b"), mine]],
  ])("%s convicts the broker", (_, leaves) => {
    const evidence = pack(leaves);
    expect(line(evidence)).toMatchObject({ status: "proved", says: expect.stringContaining("the market you are logged in to promised") });
    for (const over of [
      { leaves: evidence?.leaves.slice(1) },
      { promise: { ...promise, mergeBy: 1 } },
      { later: { ...evidence?.later, index: 0 } },
    ])
      expect(line({ ...evidence, ...over })).toMatchObject({ status: "failed" });
  });

  it("is not broken by a log that somebody else has made up", () => {
    const madeUp = pack(dropped, promise, signers.stranger);
    expect(line(madeUp)).toMatchObject({ status: "failed", says: expect.stringContaining("the log in it is not") });
    // whoever does not know the market cannot know its log either
    expect(line(madeUp, null)).toMatchObject({ status: "claimed" });
    expect(line(pack(dropped, signPromise(signers.stranger, pins.origin, hash(mine), 1_500)))).toMatchObject({ status: "failed" });
  });
});
