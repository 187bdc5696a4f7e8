/** Verdicts, doubts and objections in a receipt: who is proved to have lied, and by what. */
import type { Receipt, ReceiptDocument } from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { BROKER, type KeyName } from "../testing/cast.ts";
import { retold, type Changes } from "../testing/moves.ts";
import { storyOf } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const story = (name: string) => storyOf({ crypto, createSigner }, name, 11);
const linesOf = (name: string, changes: Changes = {}, own: OwnFacts = {}) => {
  const { cast } = story(name);
  return Object.fromEntries(
    verifyReceipt(crypto, cast.pins, retold(story(name), changes), own).lines.map(({ check, status, says }) => [
      check,
      `${status}: ${says}`,
    ]),
  );
};
const again = (name: string): OwnFacts => {
  const { truth } = story(name);
  return truth ? { reExecuted: truth } : {};
};

const LIES = ["a lie, shown whole", "a lie, shown by one segment", "a lie about its end, shown by the last segment"];

describe("a verdict", () => {
  it.each(LIES)("is the referee's word until the job is run again: %s", (name) => {
    expect(linesOf(name)["verdict"]).toMatch(/^claimed: .*the referee's word until you run it again/);
    const own = linesOf(name, {}, again(name));
    expect(own["verdict"]).toMatch(/^proved: /);
    expect(own["result"]).toMatch(/^failed: the server signed /);
    expect(own["bill"]).toMatch(/^claimed: .*not right$/);
  });

  it("says where the operator has not named its referee, and fails where it had dismissed it", () => {
    expect(linesOf(LIES[0] ?? "", { held: [], drop: ["referee"] })["verdict"]).toMatch(/^claimed: .*is a referee is the broker's word$/);
    expect(linesOf(LIES[0] ?? "", { held: ["operator"], edits: { referee: { active: false } } })["verdict"]).toMatch(
      /^failed: .*dismissed/,
    );
  });

  it.each([
    ["whose ruling another key signed", { held: [...BROKER, "stranger-server"], by: { theirs: "stranger-server" } }],
    ["whose ruling is another job's", { held: [...BROKER, "referee"], edits: { theirs: { jobHash: "ab".repeat(32) } } }],
    ["whose ruling agrees", { held: [...BROKER, "referee"], edits: { theirs: { stdoutDigest: "77".repeat(32) } } }],
    ["whose ruling ended by chance", { held: [...BROKER, "referee"], edits: { theirs: { reason: "customer-stop", exitCode: null } } }],
    ["of another engine", { held: [...BROKER, "referee"], edits: { theirs: { engine: "engine-2" } } }],
    ["about another server", { edits: { verdict: { server: `s_${"1".repeat(40)}` } } }],
    ["that says another why", { edits: { verdict: { why: "because" } } }],
    ["that takes another stake", { edits: { verdict: { slashedNanos: "1" } } }],
    ["that gives less back", { edits: { verdict: { refundNanos: "0" } } }],
    ["of a segment, without a trace", { edits: { verdict: { segment: 2 } } }],
    ["after its window", { at: { verdict: 1_900_000_000_000 } }],
  ] satisfies [string, Changes][])("%s convicts nobody", (_, changes) => {
    expect(linesOf(LIES[0] ?? "", changes)["verdict"]).toMatch(/^failed: /);
  });

  it("of a segment needs the trace that the server signed for this lease", () => {
    const name = LIES[2] ?? "";
    expect(linesOf(name, { edits: { verdict: { trace: null } } })["verdict"]).toMatch(/^failed: /);
    expect(linesOf(name, { edits: { verdict: { segment: 4 } } })["verdict"]).toMatch(/^failed: /);
    expect(linesOf(name, { held: [...BROKER, "server"], edits: { trace: { detail: "the disk was full" } } })["verdict"]).toMatch(
      /^failed: .*could not trace/,
    );
  });

  it("against the referee that is wrong itself fails", () => {
    const own = again(LIES[0] ?? "");
    const other = own.reExecuted ? { reExecuted: { ...own.reExecuted, stderrDigest: "12".repeat(32) } } : {};
    expect(linesOf(LIES[0] ?? "", {}, other)["verdict"]).toMatch(/^failed: the referee itself is wrong/);
    const root = own.reExecuted ? { reExecuted: { ...own.reExecuted, rootAt: () => "12".repeat(32) } } : {};
    expect(linesOf(LIES[1] ?? "", {}, root)["verdict"]).toMatch(/^failed: the referee itself is wrong/);
  });
});

describe("who judges", () => {
  const { cast } = story(LIES[0] ?? "");

  it("is drawn from those that the log gives, and from no others", () => {
    const none = linesOf(LIES[0] ?? "", { edits: { draw: { candidates: [], referee: null } } });
    expect(none["verdict"] ?? none["dispute"]).toMatch(/^failed: /);
    const chosen = { candidates: [cast.strangerServer], referee: cast.strangerServer };
    const edits = { draw: chosen, verdict: { referee: cast.strangerServer } };
    const lines = linesOf(LIES[0] ?? "", { held: [...BROKER, "stranger-server"], by: { theirs: "stranger-server" }, edits });
    expect(lines["verdict"]).toMatch(/^failed: /);
    const later = linesOf("a lie, shown by two referees", { drop: ["second referee"] });
    expect(later["verdict"]).toMatch(/^failed: its referee was not drawn from those that the log gives/);
  });
});

describe("an appeal", () => {
  const OVERTURNED = "convicted by a referee that is wrong, and borne out by another";
  const STANDS = "a lie, shown by two referees";

  it("that a second referee bears out overturns the verdict, which running the job again proves", () => {
    expect(linesOf(OVERTURNED)["verdict"]).toMatch(/^claimed: .*given back; overturned/);
    expect(linesOf(OVERTURNED, {}, again(OVERTURNED))["verdict"]).toMatch(/^proved: the first referee was wrong/);
    expect(linesOf(STANDS, {}, again(STANDS))["verdict"]).toMatch(/^proved: .*taken; a second referee does not bear the server out/);
  });

  it.each([
    ["that says the contrary of its results", { edits: { review: { overturned: false } } }],
    ["of another verdict", { edits: { review: { verdict: "ab".repeat(32) } } }],
    ["in the round of the first", { edits: { review: { round: 1 } } }],
    ["whose result another key signed", { held: [...BROKER, "stranger-server"], by: { "second ruling": "stranger-server" } }],
    [
      "whose result is another job's",
      { held: [...BROKER, "referee", "referee-2"], edits: { "second ruling": { jobHash: "ab".repeat(32) } } },
    ],
    ["after its window", { at: { review: 1_900_000_000_000 } }],
  ] satisfies [string, Changes][])("%s overturns nothing", (_, changes) => {
    expect(linesOf(OVERTURNED, changes)["verdict"]).toMatch(/^failed: /);
  });
});

describe("a dispute", () => {
  it("says who objected, and what the operator ruled", () => {
    expect(linesOf("objected to, and ruled on")["dispute"]).toMatch(
      /^proved: its customer objected: .*the operator ruled: the owner keeps 0.000000007/,
    );
    expect(linesOf("objected to by its owner")["dispute"]).toMatch(/^claimed: its owner objected/);
    for (const by of ["receipts", "device"] satisfies KeyName[])
      expect(linesOf("objected to, and ruled on", { held: [by], by: { ruling: by } })["dispute"]).toMatch(
        /^failed: the ruling is not signed/,
      );
  });

  describe("that shows a referee's other result", () => {
    const name = "a lie, shown by one segment";
    const withoutVerdict = retold(story(name), { drop: ["verdict"] });
    const lineOf = (receipt: Receipt) =>
      verifyReceipt(crypto, story(name).cast.pins, receipt).lines.find(({ check }) => check === "dispute");

    it("has a verdict, or its broker has kept one back", () => {
      expect(linesOf(name)["dispute"]).toMatch(/^claimed: .*which is another than the server's$/);
      expect(lineOf(withoutVerdict)).toMatchObject({ status: "failed", says: expect.stringContaining("the broker gave no verdict") });
    });

    it("and that its customer has brought to nobody blames no broker", () => {
      const kept = ({ kind }: ReceiptDocument): boolean => kind === "dispute";
      const documents = withoutVerdict.documents.map((stored) => (kept(stored) ? { ...stored, index: null, proof: [] } : stored));
      expect(lineOf({ ...withoutVerdict, documents })).toMatchObject({ status: "claimed" });
    });

    it("leaves it to the verdict's own line where that does not hold", () => {
      const lines = linesOf(name, { edits: { verdict: { why: "because" } } });
      expect(lines["dispute"]).toMatch(/^claimed: /);
      expect(lines["verdict"]).toMatch(/^failed: .*do not differ as the verdict says/);
    });
  });

  it("says what was doubted and what was shown", () => {
    expect(linesOf("doubted, and its server showed its states")["dispute"]).toMatch(/^claimed: .*signed its states/);
    expect(linesOf("doubted, its server has not answered")["dispute"]).toMatch(/^claimed: .*not shown/);
    expect(linesOf("completed by interval")["dispute"]).toBeUndefined();
  });
});
