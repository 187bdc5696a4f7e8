/** What a receipt lacks, or has outside the log: said where it is spoken of, and nothing that rests on it is proved. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import type { Receipt, ReceiptDocument } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { BROKER, Cast } from "../testing/cast.ts";
import { retold, type Changes } from "../testing/moves.ts";
import { storyOf, type Story } from "../testing/stories.ts";
import { CHECKS, type Check } from "./lines.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const tools = { crypto, createSigner };
const cast = new Cast(tools, 7);
const story = (name: string): Story => storyOf(tools, name, 7);
const PAID = "completed, delivered to its customer";
const TIMED = "completed by interval";
const MOVED = "a machine, moved to another server of its owner";
const LIE = "a lie, shown whole";

const linesOf = (receipt: Receipt, own: OwnFacts = {}) =>
  Object.fromEntries(
    verifyReceipt(crypto, cast.pins, receipt, own).lines.map(({ check, status, says }) => [check, { status, says }] as const),
  );
const lineOf = (name: string, check: Check, changes: Changes, own: OwnFacts = {}) => linesOf(retold(story(name), changes), own)[check];
/** Nobody has signed anything anew. */
const left = (drop: readonly string[]): Changes => ({ held: [], drop });
const labels = (name: string, pattern: RegExp): string[] =>
  story(name).play.filed.flatMap(({ label }) => (pattern.test(label) ? [label] : []));
const CLAIMS = /^(claim|receipt) \d/;

describe("claims", () => {
  it.each([TIMED, "its server was not heard any more", "a machine, stopped by its customer", "stopped, and no result came, on result"])(
    "that are all left out are missed: %s",
    (name) => {
      const lines = linesOf(retold(story(name), left(labels(name, CLAIMS))));
      expect(lines["use"]).toMatchObject({
        status: "failed",
        says: expect.stringMatching(/^the claim [0-9a-f]{12}, which the (result|closing) names, is left out/),
      });
      expect(lines["bill"]?.status).toBe("failed");
    },
  );

  it("that leave a hole in their chain are missed, and so is each by itself", () => {
    for (const label of labels(TIMED, CLAIMS)) expect(lineOf(TIMED, "use", left([label])), label).toMatchObject({ status: "failed" });
    expect(lineOf(TIMED, "use", left(["claim 1", "receipt 1"]))?.says).toMatch(
      /^the claim [0-9a-f]{12}, which the claim names, is left out/,
    );
    expect(lineOf(TIMED, "use", left(["opening"]))).toMatchObject({ status: "failed" });
  });

  it("that server and broker never made prove no bill by time, where both sign everything else anew", () => {
    const together: Changes = { held: [...BROKER, "server"], drop: labels(TIMED, CLAIMS) };
    expect(lineOf(TIMED, "use", together)?.says).toContain("no claim speaks for 21000 ms of it, and one is due every 10000 ms");
    expect(lineOf(TIMED, "bill", together)).toMatchObject({
      status: "claimed",
      says: expect.stringContaining("no claim speaks for 21000 ms"),
    });
    expect(lineOf(TIMED, "bill", { ...together, drop: ["claim 2", "receipt 2"] })).toMatchObject({ status: "proved" });
    // by fuel nothing is billed that they speak of, and while the broker was away nobody could hear them
    const away = "the broker was away, and it went on";
    expect(lineOf(away, "bill", { held: [] })).toMatchObject({ status: "proved" });
    expect(lineOf(PAID, "bill", { held: [] })).toMatchObject({ status: "proved" });
  });
});

describe("documents that others name", () => {
  it.each([
    [PAID, "acceptance", "opening"],
    [PAID, "result", "result"],
    [PAID, "closing", "bill"],
    ["doubted, and its server showed its states", "trace-request", "dispute"],
    ["extended twice, to its longest time", "amendment 1", "use"],
  ] as const)("of %s: %s", (name, label, check) => {
    expect(lineOf(name, check, left([label]))).toMatchObject({ status: "failed", says: expect.stringContaining("is left out") });
  });

  it("of another lease name nothing of this one", () => {
    const [one, other] = [retold(story(PAID), { held: [] }), retold(story(TIMED), { held: [] })];
    for (const foreign of other.documents) {
      for (const stored of [foreign, { ...foreign, index: null, proof: [] }]) {
        const lines = linesOf({ ...one, documents: [...one.documents, stored] });
        const failed = Object.values(lines).filter(({ status }) => status === "failed");
        expect(failed.length, foreign.kind).toBeGreaterThan(0);
        expect(failed[0]?.says, foreign.kind).not.toContain("is left out");
      }
    }
  });
});

describe("grants", () => {
  const NEEDED = { "grant device": "order", "party customer": "", "grant server": "offer", "grant enrol": "", "party owner": "" };

  it.each(Object.entries(NEEDED))("%s left out: nobody speaks with its key", (label, inside) => {
    const lines = linesOf(retold(story(PAID), left([label])));
    const failed = Object.entries(lines).filter(([, { status }]) => status === "failed");
    expect(failed.map(([check]) => check)).toContain("bill");
    if (inside !== "") expect(lines["purchase order"]?.says).toContain(`(unknown_key in its ${inside}: no document here gives it a role)`);
  });

  it("that make a referee's key a server's, or name it a referee: the verdict is not proved without", () => {
    const { truth } = story(LIE);
    const own = truth ? { reExecuted: truth } : {};
    expect(lineOf(LIE, "verdict", { held: [] }, own)).toMatchObject({ status: "proved" });
    const keyless = lineOf(LIE, "verdict", left(["party referee-owner", "grant referee"]), own);
    expect(keyless).toMatchObject({ status: "claimed", says: expect.stringContaining("left out (key-grant)") });
    const unnamed = lineOf(LIE, "verdict", left(["referee"]), own);
    expect(unnamed).toMatchObject({ status: "claimed", says: expect.stringContaining("left out (referee)") });
  });
});

describe("grants of an appeal's referees", () => {
  it.each(["grant referee", "grant referee-2"])("%s left out: what they have come to is not proved", (label) => {
    const OVERTURNED = "convicted by a referee that is wrong, and borne out by another";
    const { truth } = story(OVERTURNED);
    const own = truth ? { reExecuted: truth } : {};
    expect(lineOf(OVERTURNED, "verdict", { held: [] }, own)).toMatchObject({ status: "proved" });
    expect(lineOf(OVERTURNED, "verdict", left([label]), own)).toMatchObject({
      status: "claimed",
      says: expect.stringContaining("left out (key-grant)"),
    });
  });
});

describe("a document outside the log", () => {
  const outside = (receipt: Receipt, is: (stored: ReceiptDocument) => boolean): Receipt => {
    const each = (stored: ReceiptDocument): ReceiptDocument => (is(stored) ? { ...stored, index: null, proof: [] } : stored);
    return { ...receipt, documents: receipt.documents.map(each), leaves: receipt.leaves.map(each) };
  };
  const KINDS_OF = {
    "purchase order": ["purchase-order", "order", "fee"],
    opening: ["acceptance", "opening"],
    use: ["claim", "claim-receipt", "stop", "extension", "amendment", "takeover", "move"],
    result: ["result", "delivery"],
    bill: ["closing", "settlement"],
    dispute: ["objection", "ruling", "trace-request", "trace", "draw", "dispute"],
    verdict: ["verdict", "appeal", "review", "referee"],
    audit: ["audit-round", "audit-reveal"],
  } as const satisfies Partial<Record<Check, readonly string[]>>;

  it.each([PAID, TIMED, LIE, "objected to, and ruled on", "extended twice, to its longest time", MOVED])(
    "proves nothing, and whatever rests on it is claimed at most: %s",
    (name) => {
      const { truth } = story(name);
      const own = truth ? { reExecuted: truth } : {};
      const honest = retold(story(name), { held: [] });
      const before = linesOf(honest, own);
      const leaves = honest.leaves.filter(({ kind }) => kind === "fee" || (kind === "referee" && name === LIE));
      for (const { id, kind } of [...honest.documents, ...leaves]) {
        const { ok, lines: all } = verifyReceipt(
          crypto,
          cast.pins,
          outside(honest, (stored) => stored.id === id),
          own,
        );
        const lines = Object.fromEntries(all.map(({ check, ...line }) => [check, line]));
        const first = CHECKS.findIndex((check) => KINDS_OF[check].some((each) => each === kind));
        expect(first, kind).toBeGreaterThanOrEqual(0);
        expect(ok, kind).toBe(name !== LIE);
        expect(lines["log"]?.says, kind).toContain(`1 not in the log yet: ${kind}`);
        for (const check of CHECKS.slice(first)) expect(lines[check]?.status, `${kind}: ${check}`).not.toBe("proved");
        for (const check of CHECKS.slice(0, first))
          if (check !== "use" || kind !== "result") expect(lines[check], `${kind}: ${check}`).toMatchObject(before[check] ?? {});
      }
    },
  );

  it("is named: the last ones on their way to the log weaken the bill alone", () => {
    const receipt = outside(retold(story(PAID), { held: [] }), ({ kind }) => ["closing", "settlement"].includes(kind));
    const lines = linesOf(receipt);
    expect(lines["log"]?.says).toContain("2 not in the log yet: closing, settlement");
    expect(lines["bill"]).toMatchObject({
      status: "claimed",
      says: expect.stringContaining("of what it rests on 2 outside the log (settlement, closing)"),
    });
    expect(lines["opening"]).toMatchObject({ status: "proved" });
  });

  it.each(["party owner", "grant server", "party customer", "grant device"])(
    "that gives a key its role weakens all that the key signed: %s",
    (label) => {
      const honest = retold(story(PAID), { held: [] });
      const { id } = story(PAID).play.find(label)?.document ?? { id: "" };
      const { ok, lines } = verifyReceipt(
        crypto,
        cast.pins,
        outside(honest, (stored) => stored.id === id),
      );
      expect(ok).toBe(true);
      expect(lines.filter(({ status }) => status === "proved").map(({ check }) => check)).toEqual(["file", "signatures"]);
      expect(lines.at(-1)?.says).toMatch(/1 outside the log \((party|key-grant)\)/);
    },
  );

  it("stays what it is where everything waits: signed, and claimed", () => {
    const all = { ...outside(retold(story(PAID), { held: [] }), () => true), checkpoint: "", size: 0 };
    const { ok, lines } = verifyReceipt(crypto, cast.pins, all);
    expect(ok).toBe(true);
    expect(lines.filter(({ status }) => status === "proved").map(({ check }) => check)).toEqual(["file", "signatures"]);
  });
});

describe("a run of another job", () => {
  const told = story(PAID);
  const another = told.truth ? { reExecuted: { ...told.truth, jobHash: "ab".repeat(32), stdoutDigest: "cd".repeat(32), fuel: 1n } } : {};

  it("says nothing of this one: neither right nor wrong", () => {
    const lines = linesOf(retold(told, { held: [] }), another);
    expect(lines["result"]).toMatchObject({ status: "claimed", says: expect.stringContaining("what was run here is another job") });
    expect(lines["use"]).toMatchObject({ status: "claimed" });
    expect(lines["bill"]).toMatchObject({ status: "proved" });
    const lie = linesOf(retold(story(LIE), { held: [] }), another);
    expect(lie["verdict"]).toMatchObject({ status: "claimed", says: expect.stringContaining("until you run it again") });
  });
});
