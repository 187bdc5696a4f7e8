/**
 * Mistakes that other verifiers of receipts and attestations have made, tried on this one. Each names the public report that it was
 * learned from.
 */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { cosign, signCheckpoint, type Receipt } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { Cast } from "../testing/cast.ts";
import { retold } from "../testing/moves.ts";
import { storyOf } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const tools = { crypto, createSigner };
const cast = new Cast(tools, 7);
const told = storyOf(tools, "completed, delivered to its customer", 7);
const honest = retold(told, { held: [] });
const verified = (receipt: unknown, own: OwnFacts = {}) => {
  const { ok, lines } = verifyReceipt(crypto, cast.pins, receipt, own);
  return { ok, line: (check: string) => lines.find((each) => each.check === check), lines };
};

/** https://github.com/theupdateframework/go-tuf/pull/733, https://github.com/theupdateframework/python-tuf/pull/974 */
it("one witness is one, under however many names its key is pinned and however often it has signed", () => {
  const { signers } = cast;
  const key = cast.key("witness");
  const twice = ["one", "two"].map((name) => cosign(crypto, signers.witness, name, honest.checkpoint, 1)).join("");
  const signed = { ...honest, checkpoint: honest.checkpoint + twice };
  const pinned = (...names: string[]) => names.map((name) => ({ name, key }));
  expect(verified(signed, { witnesses: pinned("one") }).line("log")).toMatchObject({ status: "proved" });
  expect(verified(signed, { witnesses: pinned("one", "two") }).line("log")).toMatchObject({
    status: "claimed",
    says: expect.stringContaining("1 of 2 pinned witnesses"),
  });
  const another = [...pinned("one"), { name: "three", key: cast.key("stranger") }];
  const again = { ...honest, checkpoint: honest.checkpoint + cosign(crypto, signers.witness, "one", honest.checkpoint, 1).repeat(2) };
  expect(verified(again, { witnesses: another }).line("log")).toMatchObject({ status: "claimed" });
});

/** https://github.com/chainloop-dev/chainloop/issues/3397, https://github.com/cli/cli/issues/10418 */
describe("a file with nothing in it to verify", () => {
  const empty: Receipt = { ...honest, documents: [], leaves: [] };

  it.each([
    ["no documents", empty],
    ["nothing, not even a checkpoint", { ...empty, checkpoint: "", size: 0 }],
    ["only public leaves", { ...honest, documents: [] }],
    ["an empty object", {}],
    ["an empty list", []],
    ["null", null],
  ])("does not hold: %s", (_, file) => {
    const { ok, lines } = verified(file);
    expect(ok).toBe(false);
    expect(lines.some(({ status }) => status === "failed")).toBe(true);
    expect(lines.find(({ check }) => check === "bill")?.status).not.toBe("proved");
  });
});

/** https://github.com/jdx/mise/pull/9260: provenance of one artifact passed for another. */
it("what was received, and what was run, has to be what this receipt is of", () => {
  const other = "ab".repeat(32);
  expect(verified(honest, { outputDigest: other }).line("result")).toMatchObject({ status: "failed" });
  const run = told.truth ? { reExecuted: { ...told.truth, jobHash: other } } : {};
  expect(verified(honest, run).line("result")).toMatchObject({ status: "claimed" });
  expect(verified(honest, told.truth ? { reExecuted: told.truth } : {}).line("result")).toMatchObject({ status: "proved" });
});

/** https://github.com/sigstore/cosign/pull/4623 (GHSA-whqx-f9j3-ch6m), https://github.com/sigstore/sigstore-go/pull/611 */
it("a proof that something is in the log says nothing of a document that is not that leaf", () => {
  const [first, second] = honest.documents;
  for (const taken of [["leaf"], ["index", "proof"], ["leaf", "index", "proof"], ["leaf", "index", "proof", "salt", "at"]] as const) {
    const place = Object.fromEntries(taken.map((key) => [key, second?.[key]]));
    const documents = honest.documents.map((stored) => (stored === first ? { ...stored, ...place } : stored));
    const { ok, line } = verified({ ...honest, documents: documents.filter((stored) => stored !== second) });
    expect(ok, taken.join()).toBe(false);
    expect(line("log")?.status ?? line("signatures")?.status, taken.join()).toBe("failed");
  }
});

/** https://github.com/sigstore/cosign/issues/1816: a log was believed by the key that came with it. */
it("no key counts because the file brings it", () => {
  const { origin } = cast.pins;
  const mine = { ...cast.pins.keys, checkpoints: cast.key("stranger") };
  const [, size = "0", root = ""] = honest.checkpoint.split("\n");
  const hex = Buffer.from(root, "base64").toString("hex");
  const checkpoint = signCheckpoint(crypto, cast.signers.stranger, { origin: `${origin}/log/1`, size: Number(size), root: hex });
  expect(verified({ ...honest, checkpoint }).line("log")).toMatchObject({ status: "failed" });
  expect(verified({ ...honest, checkpoint, market: { ...honest.market, keys: mine } }).line("file")).toMatchObject({ status: "failed" });
});
