/** A receipt that is read as it comes says what it says in one piece, honest or not; what only a file can do is refused. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import type { Receipt } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { BROKER } from "../testing/cast.ts";
import { retold } from "../testing/moves.ts";
import { STORY_NAMES, storyOf, type Story } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";
import { StreamedReceipt } from "./streamed.ts";

const told = new Map<string, Story>();
const story = (name: string): Story => {
  const known = told.get(name) ?? storyOf({ crypto, createSigner }, name, 7);
  told.set(name, known);
  return known;
};
const { pins } = story("completed by interval").cast;

function streamed({ documents, ...head }: Receipt, own: OwnFacts = {}) {
  const reading = new StreamedReceipt(crypto, pins, head, own);
  for (const document of documents) if (!reading.hear(document)) break;
  return reading.said();
}

it.each(STORY_NAMES)("says the same either way: %s", (name) => {
  const { cast, truth } = story(name);
  const own = { party: cast.customer, ...(truth ? { reExecuted: truth } : {}) };
  const receipt = retold(story(name), { held: [] });
  expect(streamed(receipt, own)).toEqual(verifyReceipt(crypto, pins, receipt, own));
});

describe.each([
  ...["completed by interval", "a machine, moved to another server of its owner", "audited, its round over"],
  ...["a lie, shown by two referees", "the broker was away, and it went on"],
])("%s", (name) => {
  it("says the same with any document left out, outside the log, or said again by a broker that lies", () => {
    const labels = story(name).play.filed.flatMap(({ label, isAside }) => (isAside ? [] : [label]));
    const whole = retold(story(name), { held: [] });
    for (let i = 0; i < labels.length; i += 3) {
      const label = labels[i]!;
      const without = retold(story(name), { held: [], drop: [label] });
      expect(streamed(without), label).toEqual(verifyReceipt(crypto, pins, without));
      const from = <T extends Receipt["documents"][number]>(stored: T): T =>
        (stored.index ?? 0) >= i ? { ...stored, index: null, proof: [] } : stored;
      const waiting = { ...whole, documents: whole.documents.map(from), leaves: whole.leaves.map(from) };
      expect(streamed(waiting), label).toEqual(verifyReceipt(crypto, pins, waiting));
    }
    const lying = retold(story(name), { held: BROKER, edits: { settlement: { dueNanos: "1" }, closing: { reason: "unreachable" } } });
    expect(streamed(lying)).toEqual(verifyReceipt(crypto, pins, lying));
  });
});

describe("a file", () => {
  const receipt = retold(story("completed by interval"), { held: [] });
  const said = (documents: Receipt["documents"], own: OwnFacts = {}) => {
    const { ok, lines } = streamed({ ...receipt, documents }, own);
    return { ok, failed: lines.filter(({ status }) => status === "failed").map(({ check, says }) => `${check}: ${says}`)[0] };
  };

  it("holds each document once, in the order of the log", () => {
    const { documents } = receipt;
    for (const [i, document] of documents.entries()) {
      expect(said(documents.toSpliced(i, 0, document)), document.kind).toMatchObject({ ok: false });
      expect(said([...documents, document]), document.kind).toMatchObject({ ok: false });
      const next = documents[i + 1];
      if (next)
        expect(said(documents.toSpliced(i, 2, next, document)).failed).toBe("file: its documents do not stand in the order of the log");
    }
  });

  it("has what waits for the log at its end", () => {
    const first = receipt.documents.map((each, i) => (i === 0 ? { ...each, index: null, proof: [] } : each));
    expect(said(first).failed).toBe("file: its documents do not stand in the order of the log");
  });

  it("lacks nothing that its reader holds", () => {
    expect(said(receipt.documents, { documents: ["ab".repeat(32)] }).failed).toBe(
      "signatures: it lacks a document of this lease that you hold",
    );
    expect(said(receipt.documents, { documents: [receipt.documents[3]!.id] }).ok).toBe(true);
  });

  it("of another market, or that is none, is told in its first line", () => {
    const { documents: _, ...head } = receipt;
    for (const each of [{}, { ...head, lease: "x" }, { ...head, market: { ...pins, operatorKey: "0".repeat(64) } }])
      expect(new StreamedReceipt(crypto, pins, each).said()).toMatchObject({ ok: false, lines: [{ check: "file", status: "failed" }] });
    const reading = new StreamedReceipt(crypto, pins, head);
    expect(reading.hear({ kind: "claim" })).toBe(false);
    expect(reading.hear(receipt.documents[0])).toBe(false);
    expect(reading.said().lines).toMatchObject([{ check: "file", says: "this is not a receipt: documents.0" }]);
  });
});
