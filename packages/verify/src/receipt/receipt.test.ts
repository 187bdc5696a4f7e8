/** Receipts verified by folding them: what the hostile tried, and what each kind of end may say. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { EMPTY_TREE_DIGEST } from "@xenoservers/market";
import type { Receipt } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { BROKER, Cast, type KeyName } from "../testing/cast.ts";
import { LeaseScript, leaseIn, type Deal } from "../testing/lease-script.ts";
import { retold } from "../testing/moves.ts";
import { Rng } from "../testing/rng.ts";
import { receiptOf } from "../testing/script.ts";
import { STORY_NAMES, storyOf } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const tools = { crypto, createSigner };
const story = (name: string) => storyOf(tools, name, 7);
const cast = new Cast(tools, 7);

const statuses = (receipt: Receipt, own: OwnFacts = {}) => {
  const { lines, ok } = verifyReceipt(crypto, cast.pins, receipt, own);
  return {
    ...Object.fromEntries(lines.map(({ check, status }) => [check, status])),
    ok,
    says: Object.fromEntries(lines.map((line) => [line.check, line.says])),
  };
};
/** A lease told by the test, by whoever signs. */
const made = (deal: Deal, tell: (script: LeaseScript) => LeaseScript): Receipt => {
  const play = tell(new LeaseScript(cast, new Rng(7), deal)).play();
  return receiptOf(cast, leaseIn(play), play.filed);
};
const BY_RESULT: Deal = { order: { terms: "on-result" } };
const BY_TIME: Deal = { order: { terms: "by-interval" } };

describe("found by trying", () => {
  it("a lease closed as completed whose server signed server-failed, and the reverse", () => {
    const failed = retold(story("its server failed"), { edits: { closing: { reason: "completed" } } });
    expect(statuses(failed)).toMatchObject({
      bill: "failed",
      ok: false,
      says: { bill: expect.stringContaining("its documents say server-failed") },
    });
    const completed = retold(story("completed, delivered to its customer"), { edits: { closing: { reason: "server-failed" } } });
    expect(statuses(completed)).toMatchObject({ bill: "failed", says: { bill: expect.stringContaining("its documents say completed") } });
  });

  it("an amendment whose extension no known key has signed", () => {
    const name = "extended twice, to its longest time";
    const by = (key: KeyName) =>
      statuses(retold(story(name), { held: ["orders", "receipts", "checkpoints", key], by: { "extension 1": key } }));
    for (const key of ["stranger", "orders", "stranger-server"] as const)
      expect(by(key)).toMatchObject({ use: "failed", bill: "failed", ok: false });
    const embedded = made(BY_TIME, (s) => {
      s.known().bound().opened().extended(60_000);
      for (const part of s.parts) if (part.kind === "extension") [part.by, part.isAside] = ["stranger", true];
      return s.after(100).result().over();
    });
    expect(statuses(embedded)).toMatchObject({
      use: "failed",
      bill: "failed",
      says: { use: expect.stringContaining("unknown_key in its extension") },
    });
  });

  it("an order for region=eu on an offer us", () => {
    const receipt = made({ ...BY_RESULT, offer: { labels: { region: "us" } } }, (s) =>
      s.known().bound().opened().after(2_500).result().delivered().over(),
    );
    expect(statuses(receipt)).toMatchObject({
      "purchase order": "failed",
      bill: "failed",
      says: { "purchase order": expect.stringContaining("region=eu") },
    });
  });

  it("a fee of 50 % that nobody announced", () => {
    const name = "completed, delivered to its customer";
    for (const edit of [{ feeBasisPoints: 5_000 }, { feeBasisPoints: 5_000, fee: null }])
      expect(statuses(retold(story(name), { edits: { "purchase-order": edit } }))).toMatchObject({
        "purchase order": "failed",
        bill: "failed",
      });
    expect(statuses(retold(story(name), { by: { fee: "orders" } }))).toMatchObject({ signatures: "failed", "purchase order": "failed" });
    expect(statuses(retold(story(name), { held: [], drop: ["fee"] }))).toMatchObject({ "purchase order": "failed" });
    const late = retold(story(name), { held: [], last: ["fee"], at: { fee: story(name).play.of("settlement").at } });
    expect(statuses(late)).toMatchObject({
      "purchase order": "failed",
      says: { "purchase order": expect.stringContaining("nobody could have known") },
    });
  });

  it("a stranger's job on a server with allowed parties", () => {
    const receipt = made({ ...BY_RESULT, offer: { allowedParties: [cast.stranger] } }, (s) =>
      s.known().bound().opened().after(2_500).result().delivered().over(),
    );
    expect(statuses(receipt)).toMatchObject({
      "purchase order": "failed",
      says: { "purchase order": expect.stringContaining("not-allowed") },
    });
  });

  it("a stop by a stranger's key, known in the market or not", () => {
    const stop = (s: LeaseScript) =>
      s.stopped("stranger").after(100).result({ reason: "customer-stop", exitCode: null, memoryHash: null }).over();
    const unknown = made(BY_TIME, (s) => stop(s.known().bound().opened()));
    expect(statuses(unknown)).toMatchObject({ use: "failed", bill: "failed", says: { use: expect.stringContaining("unknown_key") } });
    const known = made(BY_TIME, (s) => {
      s.known().say("stranger", "party", () => ({ party: cast.stranger, name: "x", rootKey: cast.key("stranger"), recoveryKey: null }), {
        label: "party stranger",
      });
      return stop(s.bound().opened());
    });
    expect(statuses(known)).toMatchObject({ use: "failed", says: { use: expect.stringContaining("not_yours") } });
    const spoken = made(BY_TIME, (s) => {
      s.known().say("stranger", "party", () => ({ party: cast.stranger, name: "x", rootKey: cast.key("stranger"), recoveryKey: null }), {
        label: "party stranger",
      });
      s.bound()
        .opened()
        .after(100)
        .say("stranger", "stop", (play) => ({ lease: leaseIn(play), party: cast.stranger, reason: "" }));
      return s.result({ reason: "customer-stop", exitCode: null, memoryHash: null }).over();
    });
    expect(statuses(spoken)).toMatchObject({ use: "failed", says: { use: expect.stringContaining("not signed by customer or owner") } });
  });

  it("a result right after the opening that states all the fuel there is", () => {
    const receipt = made(BY_RESULT, (s) => s.known().bound().opened().after(1).result({ fuel: "1000000000000" }).delivered().over());
    const { says, ...rest } = statuses(receipt);
    expect(rest).toMatchObject({ bill: "claimed", ok: true });
    expect(says["bill"]).toContain("for 20000000 fuel");
  });

  it("a server that signs the right digests and never sends the bytes", () => {
    expect(statuses(retold(story("completed, never delivered"), {}))).toMatchObject({ bill: "claimed", ok: true });
    const undelivered = made(BY_RESULT, (s) => s.known().bound().opened().after(2_500).result().over());
    expect(statuses(undelivered)).toMatchObject({ bill: "failed" });
  });
});

describe("a receipt", () => {
  it.each(STORY_NAMES)("of what is honest holds: %s", (name) => {
    const { ok, bill } = { bill: "", ...statuses(receiptOf(cast, story(name).lease, story(name).play.filed)) };
    expect(ok).toBe(true);
    expect(["proved", "claimed"]).toContain(bill);
  });

  it("is not proved where it rests on the broker's word", () => {
    const bill = (name: string, own: OwnFacts = {}) => statuses(retold(story(name), {}), own)["bill" as never];
    expect(bill("completed, delivered to its customer")).toBe("proved");
    expect(bill("completed by interval")).toBe("proved");
    expect(bill("its server failed")).toBe("proved");
    expect(bill("inputs that never came")).toBe("proved");
    for (const name of [
      "its server was not heard any more",
      "never started",
      "never accepted",
      "completed, never delivered",
      "the broker was away too long",
    ])
      expect(bill(name), name).toBe("claimed");
    expect(bill("completed, sealed with the broker")).toBe("claimed");
    const sealed = story("completed, sealed with the broker");
    expect(bill("completed, sealed with the broker", { outputDigest: sealed.play.of("result").document.payload.outputDigest })).toBe(
      "proved",
    );
    expect(bill("a machine, stopped by its customer")).toBe("claimed");
  });

  it("says nothing of fuel by running a job again that the server says never ran", () => {
    const told = story("completed, delivered to its customer");
    const own = told.truth ? { reExecuted: told.truth } : {};
    const held = ["server", ...BROKER] as const;
    const failed = retold(told, { held, edits: { result: { reason: "server-failed", exitCode: null } }, drop: ["delivery"] });
    expect(statuses(retold(told, {}), own)).toMatchObject({ use: "proved", result: "proved" });
    expect(statuses(failed, own)).toMatchObject({ use: "claimed", result: "claimed", bill: "proved" });
  });

  it("lacks nothing that its verifier holds", () => {
    const told = story("a machine, stopped by its customer");
    const own = { documents: [told.play.of("stop").document.id] };
    expect(statuses(retold(told, {}), own).ok).toBe(true);
    expect(statuses(retold(told, { drop: ["stop"] }), own)).toMatchObject({ signatures: "failed", ok: false });
  });

  it("is for the verifier's own order, where it says which that is, and of what it received", () => {
    const told = story("completed, delivered to its customer");
    expect(statuses(retold(told, {}), { customerKey: cast.key("device") }).ok).toBe(true);
    expect(statuses(retold(told, {}), { customerKey: cast.key("customer") })).toMatchObject({ "purchase order": "failed" });
    const whose = (own: OwnFacts) => statuses(retold(told, {}), own).says["purchase order"];
    const [theirs, offered] = [`${cast.customer.slice(0, 12)}…'s order`, `to ${cast.owner.slice(0, 12)}…'s offer`];
    expect(whose({ party: cast.customer })).toContain(`binds your order ${offered}`);
    expect(whose({ party: cast.stranger })).toContain(`binds ${theirs}, which is not yours, ${offered}`);
    expect(whose({ party: cast.owner })).toContain(`binds ${theirs} to your offer`);
    expect(whose({})).toContain(`binds ${theirs} ${offered}`);
    expect(whose({ customerKey: cast.key("device") })).toContain(`binds ${theirs}, signed with your key, ${offered}`);
    // what is shown is short: the whole id decides
    expect(whose({ party: `${cast.customer.slice(0, 12)}${"0".repeat(30)}` })).toContain(`binds ${theirs}, which is not yours,`);
    expect(statuses(retold(told, {}), { outputDigest: EMPTY_TREE_DIGEST })).toMatchObject({ result: "failed", bill: "claimed" });
  });

  it("says of every part that is missing where it is missing", () => {
    const told = story("extended twice, to its longest time");
    for (const [label, check] of [
      ["purchase-order", "purchase order"],
      ["acceptance", "opening"],
      ["opening", "use"],
      ["receipt 1", "use"],
      ["claim 1", "use"],
      ["amendment 1", "use"],
      ["result", "bill"],
      ["closing", "bill"],
    ])
      expect(statuses(retold(told, { held: [], drop: [label ?? ""] })), label).toMatchObject({ [check ?? ""]: "failed", ok: false });
    expect(statuses(retold(story("completed, delivered to its customer"), { held: [], drop: ["delivery"] }))).toMatchObject({
      bill: "failed",
    });
    expect(statuses(retold(told, { held: [], drop: ["settlement"] }))).toMatchObject({ bill: "failed" });
  });

  it("of another market, or no receipt at all, is none", () => {
    const receipt = retold(story("completed by interval"), {});
    expect(verifyReceipt(crypto, { ...cast.pins, operatorKey: "00".repeat(32) }, receipt).lines).toMatchObject([
      { check: "file", status: "failed" },
    ]);
    expect(verifyReceipt(crypto, { ...cast.pins, origin: "another" }, receipt).ok).toBe(false);
    expect(verifyReceipt(crypto, cast.pins, { nonsense: true }).lines).toMatchObject([{ check: "file", status: "failed" }]);
  });
});
