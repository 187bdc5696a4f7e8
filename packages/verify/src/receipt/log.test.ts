/** The log of a receipt: everything in it once, in its place, in time; and who vouches for it. */
import { cosign, signCheckpoint, type Receipt } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { BROKER, type KeyName } from "../testing/cast.ts";
import { retold } from "../testing/moves.ts";
import { receiptOf } from "../testing/script.ts";
import { storyOf } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const story = storyOf({ crypto, createSigner }, "completed by interval", 5);
const { cast } = story;
const honest = receiptOf(cast, story.lease, story.play.filed);
const logLine = (receipt: Receipt, own: OwnFacts = {}) =>
  verifyReceipt(crypto, cast.pins, receipt, own).lines.find(({ check }) => check === "log");
const change = (at: number, over: Partial<Receipt["documents"][number]>): Receipt => ({
  ...honest,
  documents: honest.documents.map((each, i) => (i === at ? { ...each, ...over } : each)),
});

describe("the log", () => {
  it("is claimed without witnesses, and proved with more than half of those that are pinned", () => {
    const witness = (name: string) => ({ name, key: cast.key("witness") });
    const signed = { ...honest, checkpoint: honest.checkpoint + cosign(crypto, cast.signers.witness, "one", honest.checkpoint, 1) };
    expect(logLine(signed)).toMatchObject({ status: "claimed", says: expect.stringContaining("no witness is pinned") });
    expect(logLine(signed, { witnesses: [witness("one")] })).toMatchObject({ status: "proved" });
    expect(logLine(signed, { witnesses: [witness("one"), witness("two")] })).toMatchObject({ status: "claimed" });
    expect(logLine(honest, { witnesses: [witness("one")] })).toMatchObject({ status: "claimed", says: expect.stringContaining("0 of 1") });
  });

  it("proves what its times have cut only with witnesses", () => {
    const stopped = storyOf({ crypto, createSigner }, "a machine, stopped by its customer", 5);
    const receipt = receiptOf(stopped.cast, stopped.lease, stopped.play.filed);
    const signed = {
      ...receipt,
      checkpoint: receipt.checkpoint + cosign(crypto, stopped.cast.signers.witness, "one", receipt.checkpoint, 1),
    };
    const bill = (own: OwnFacts) =>
      verifyReceipt(crypto, stopped.cast.pins, signed, own).lines.find(({ check }) => check === "bill")?.status;
    expect(bill({})).toBe("claimed");
    expect(bill({ witnesses: [{ name: "one", key: stopped.cast.key("witness") }] })).toBe("proved");
  });

  it("has documents of earlier epochs that a restore has kept, and none of a broker that names no epoch", () => {
    const of = (seen: object | null, held: readonly KeyName[] = BROKER) =>
      logLine(retold(story, { held, edits: { settlement: { seen } } }));
    const earlier = { epoch: "e9".repeat(16), size: 4, root: "00".repeat(32) };
    expect(of(earlier)?.says).toContain("1 are of epochs before the last restore");
    expect(logLine(honest)?.says).not.toContain("restore");
    expect(of(null)).toMatchObject({ status: "failed", says: expect.stringContaining("in which epoch of the log") });
    const elsewhere = signCheckpoint(crypto, cast.signers.checkpoints, {
      ...{ origin: `${cast.pins.origin}/log/1`, size: honest.size, root: "00".repeat(32) },
    });
    expect(logLine({ ...honest, checkpoint: elsewhere })).toMatchObject({ status: "failed" });
  });

  it("may still lack the last documents, or all of them", () => {
    const waiting = (from: number): Receipt =>
      receiptOf(
        cast,
        story.lease,
        story.play.filed.map((each, i) => ({ ...each, isPending: i >= from })),
      );
    expect(logLine(waiting(20))).toMatchObject({ status: "claimed", says: expect.stringContaining("not in the log yet") });
    const none = { ...waiting(0), checkpoint: "", size: 0 };
    expect(logLine(none)).toMatchObject({ status: "claimed", says: expect.stringContaining("still empty") });
    const { ok, lines } = verifyReceipt(crypto, cast.pins, none);
    expect(ok).toBe(true);
    expect(lines.find(({ check }) => check === "purchase order")).toMatchObject({
      status: "claimed",
      says: expect.stringMatching(/outside the log \(fee, order, /),
    });
    expect(logLine({ ...honest, checkpoint: "", size: 0 })).toMatchObject({ status: "failed" });
  });

  it("has each document in one place of its own", () => {
    const [first, second] = honest.documents;
    expect(logLine(change(0, { index: second?.index ?? 0 }))?.status).toBe("failed");
    expect(logLine(change(0, { index: (first?.index ?? 0) + 1 }))?.status).toBe("failed");
    expect(logLine(change(honest.documents.length - 1, { index: null }))).toMatchObject({
      status: "failed",
      says: expect.stringContaining("has a proof"),
    });
    expect(logLine(change(0, { proof: second?.proof ?? [] }))?.status).toBe("failed");
    expect(logLine(change(0, { index: 9_999 }))?.status).toBe("failed");
    expect(logLine({ ...honest, size: honest.size + 1 })?.status).toBe("failed");
    expect(logLine({ ...honest, checkpoint: honest.checkpoint.replace("test/market", "best/market") })?.status).toBe("failed");
  });

  it("never goes back in time within a lease, and hardly otherwise", () => {
    const at = story.play.of("result").at;
    const back = retold(story, { at: { result: at - 60_000 } });
    expect(logLine(back)).toMatchObject({ status: "failed", says: expect.stringContaining("the result document is timed before") });
    const leaf = story.play.of("key-grant", "grant server").at;
    expect(logLine(retold(story, { at: { "grant server": leaf - 1_000 } }))?.status).toBe("claimed");
    expect(logLine(retold(story, { at: { "grant server": leaf - 100_000 } }))?.status).toBe("failed");
  });
});

describe("a document", () => {
  const signatures = (receipt: Receipt) =>
    verifyReceipt(crypto, cast.pins, receipt).lines.find(({ check }) => check === "signatures")?.status;

  it("opens its leaf as it is, and stands once", () => {
    expect(signatures(honest)).toBe("proved");
    const other = honest.documents[1];
    for (const [key, value] of Object.entries({
      at: 5,
      salt: "ab".repeat(32),
      leaf: "ab".repeat(32),
      id: other?.id,
      kind: "stop",
      envelope: other?.envelope,
    }))
      expect(signatures(change(0, { [key]: value })), key).toBe("failed");
    expect(signatures(change(0, { salt: "" }))).toBe("failed");
    expect(signatures({ ...honest, documents: [...honest.documents, ...honest.documents.slice(0, 1)] })).toBe("failed");
    expect(signatures({ ...honest, documents: [...honest.documents, ...honest.leaves.slice(0, 1)] })).toBe("failed");
    expect(
      signatures({ ...honest, documents: honest.documents.slice(1), leaves: [...honest.leaves, ...honest.documents.slice(0, 1)] }),
    ).toBe("failed");
  });
});
