/** Documents into facts: every kind is one or is none, and what a document embeds is verified like the document itself. */
import { FACT_KINDS, step } from "@xenoservers/market";
import { KINDS, KeyBook } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { BROKER, type KeyName } from "../testing/cast.ts";
import { movesOf, replay } from "../testing/moves.ts";
import { Rng } from "../testing/rng.ts";
import { STORY_NAMES, storyOf, type Story } from "../testing/stories.ts";
import { parseFact, type FactWorld } from "./facts.ts";
import { checkPurchaseOrder } from "./purchase-order.ts";

const stories = new Map(STORY_NAMES.map((name) => [name, storyOf({ crypto, createSigner }, name, 23)]));
const tell = (name: string): Story => stories.get(name) ?? storyOf({ crypto, createSigner }, name, 23);
/** A world that was told, without times, what the log has of keys. */
const worldOf = ({ cast, play }: Story): FactWorld => {
  const book = new KeyBook(crypto, cast.pins.origin);
  for (const { document, isLeaf } of play.filed) if (isLeaf && document.kind !== "key-revoke") book.learn(document.envelope);
  return { crypto, market: cast.pins, keyOf: book.keyOf };
};
const isFact = (kind: string): boolean => FACT_KINDS.some((each) => each === kind);

describe("a document", () => {
  it.each(KINDS)("of kind %s is a fact of a lease, or is none", (kind) => {
    for (const name of STORY_NAMES) {
      const story = tell(name);
      const filed = story.play.filed.find(({ document, isAside }) => document.kind === kind && !isAside);
      if (!filed) continue;
      const read = parseFact(worldOf(story), filed.document.envelope, filed.at);
      if (isFact(kind)) expect(read).toMatchObject({ ok: true, fact: { kind, id: filed.document.id, at: filed.at } });
      else expect(read?.ok ?? false).toBe(false);
      return;
    }
    expect(isFact(kind), `no story has a ${kind}`).toBe(false);
  });

  it.each(STORY_NAMES)("after the other gives the lease as its broker has it: %s", (name) => {
    const story = tell(name);
    let lease = null;
    for (const { document, at, isAside } of story.play.filed) {
      const isGap = document.kind === "gap";
      if (isAside || !isFact(document.kind) || ["verdict", "appeal", "review"].includes(document.kind) || (isGap && lease === null))
        continue;
      const read = parseFact(worldOf(story), document.envelope, at);
      expect(read, document.kind).toMatchObject({ ok: true });
      if (!read?.ok) return;
      const next = step(lease, read.fact);
      expect(next.ok, document.kind).toBe(true);
      if (next.ok) lease = next.lease;
    }
  });

  it("signed by another than may say it is no fact", () => {
    const story = tell("completed, delivered to its customer");
    for (const label of ["acceptance", "opening", "result", "delivery", "closing", "settlement"]) {
      const moves = movesOf(story);
      for (const move of moves) if (move.part.label === label) move.by = "stranger";
      const filed = replay(story, moves, new Set<KeyName>(["stranger"]), new Rng(1)).find(label);
      expect(filed && parseFact(worldOf(story), filed.document.envelope, filed.at), label).toMatchObject({ ok: false });
    }
  });
});

describe("a purchase order", () => {
  const story = tell("completed, delivered to its customer");
  const checked = (edits: Record<string, object>, by: Record<string, KeyName> = {}, held: readonly KeyName[] = BROKER) => {
    const moves = movesOf(story);
    for (const move of moves) [move.edit, move.by] = [{ ...edits[move.part.label] }, by[move.part.label] ?? move.by];
    const po = replay(story, moves, new Set(held), new Rng(1)).find("purchase-order");
    return checkPurchaseOrder(worldOf(story), po?.document.envelope);
  };
  const why = (...args: Parameters<typeof checked>): string => {
    const found = checked(...args);
    return found.ok ? "" : found.why;
  };

  it("is checked before a byte of the job leaves, and before a server takes it", () => {
    expect(checked({})).toMatchObject({ ok: true, order: { kind: "order" }, offer: { kind: "offer" }, lease: { state: "bound" } });
    expect(why({ "purchase-order": { holdNanos: "1" } })).toContain("hold");
    expect(why({ "purchase-order": { feeBasisPoints: 5_000 } })).toContain("fee");
    expect(why({ offer: { labels: { region: "us" } } }, {}, [...BROKER, "server"])).toContain("region=eu");
    expect(why({ offer: { allowedParties: [story.cast.stranger] } }, {}, [...BROKER, "server"])).toContain("not-allowed");
    expect(why({ order: { on: "mine" } }, {}, [...BROKER, "device"])).toContain("not-yours");
  });

  it("is signed by the broker's key for them, over what its signers signed", () => {
    expect(why({}, { "purchase-order": "receipts" })).toContain("not a purchase order of this market's broker");
    expect(why({}, { order: "orders" })).toContain("unknown_key in its order");
    expect(why({}, { offer: "orders" })).toContain("unknown_key in its offer");
    expect(why({}, { fee: "orders" })).toContain("operator_only in its fee");
    expect(why({}, { order: "owner" }, [...BROKER, "owner"])).toContain("not_yours in its order");
    expect(checkPurchaseOrder(worldOf(story), { nonsense: true })).toMatchObject({ ok: false });
    expect(checkPurchaseOrder({ ...worldOf(story), keyOf: () => null }, story.play.of("purchase-order").document.envelope)).toMatchObject({
      ok: false,
    });
  });
});
