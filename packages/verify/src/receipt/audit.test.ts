/** What a receipt says of the draw of an audit: claimed while the round lasts, recomputed after it, failed where the broker drew otherwise. */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import { retold, type Changes } from "../testing/moves.ts";
import { STORY_NAMES, storyOf } from "../testing/stories.ts";
import { verifyReceipt, type OwnFacts } from "./receipt.ts";

const RUNNING = "audited, its round not over yet";
const OVER = "audited, its round over";
const story = (name: string, seed = 7) => storyOf({ crypto, createSigner }, name, seed);

const lineOf = (name: string, changes: Changes = {}, own: OwnFacts = {}, seed = 7): string | null => {
  const told = story(name, seed);
  const { lines } = verifyReceipt(crypto, told.cast.pins, retold(told, changes), own);
  const line = lines.find(({ check }) => check === "audit");
  return line ? `${line.status}: ${line.says}` : null;
};
const statedIn = (name: string, seed = 7): boolean | null => story(name, seed).play.of("settlement").document.payload.audited;

/** Whether the story has a settlement that says something of a draw. */
const isStatedIn = (name: string): boolean => story(name).play.has("settlement") && statedIn(name) !== null;

describe("the draw of an audit", () => {
  it("is the broker's word until its round ends, and says when that is", () => {
    const { until } = story(RUNNING).play.of("audit-round").document.payload;
    expect(lineOf(RUNNING)).toBe(`claimed: not drawn at a rate of 1 %; claimed until the round ends, at ${new Date(until).toISOString()}`);
  });

  it("follows from the secret of its round once that is shown, of a newcomer and of an owner with a record", () => {
    expect(lineOf(OVER)).toMatch(/^claimed: not drawn at a rate of 1 %, recomputed .* is the log's word$/);
    expect(lineOf("of a newcomer, audited, its round over")).toMatch(/^claimed: drawn at a rate of 100 %, recomputed /);
  });

  it.each(["audited, its round over", "of a newcomer, audited, its round over"])("stated otherwise is a failure: %s", (name) => {
    const other = { edits: { settlement: { audited: statedIn(name) !== true } } };
    expect(lineOf(name, other)).toMatch(/^failed: .*its round's secret says otherwise$/);
  });

  it("is a failure by another secret than the one that was fixed, or by one that was fixed too late", () => {
    expect(lineOf(OVER, { edits: { "audit-reveal": { secret: "ab".repeat(32) } } })).toMatch(/^failed: .*not the one that was fixed$/);
    const later = story(OVER).play.of("result").at + 1;
    expect(lineOf(OVER, { edits: { "audit-round": { from: later } } })).toMatch(/^failed: .*fixed after its result was logged$/);
    expect(lineOf(OVER, { edits: { "audit-reveal": { to: story(OVER).play.of("result").at } } })).toMatch(/^failed: .*had ended before/);
    const logged: Changes = { held: [], last: ["audit-round"], at: { "audit-round": story(OVER).play.of("settlement").at } };
    expect(lineOf(OVER, { ...logged, drop: ["audit-reveal"] })).toBe(
      "failed: the secret of its round was fixed after its result was logged",
    );
  });

  it("is a failure where the receipt lacks its round, and a claim where there is said to have been none", () => {
    expect(lineOf(OVER, { held: [], drop: ["audit-round"] })).toBe("failed: it lacks the round that its result was drawn in");
    expect(lineOf(OVER, { edits: { settlement: { audited: true, auditRound: null } } })).toMatch(
      /^claimed: .*no round was open is the broker's/,
    );
  });

  it("is no one's to leave out: a settlement without it is not the fold's, nor one with it where nothing can be audited", () => {
    const { cast } = story(OVER);
    const billOf = (name: string, edit: object): string | undefined =>
      verifyReceipt(crypto, cast.pins, retold(story(name), { edits: { settlement: { ...edit } } })).lines.find(
        ({ check }) => check === "bill",
      )?.status;
    expect(billOf(OVER, { audited: null, auditRound: null })).toBe("failed");
    expect(billOf(OVER, { audited: false, auditRound: null })).toBe("failed");
    expect(billOf("completed, delivered to its customer", { audited: true })).toBe("failed");
  });

  it("is spoken of in receipts of audited leases alone", () => {
    for (const name of STORY_NAMES) expect(lineOf(name) !== null, name).toBe(isStatedIn(name));
  });
});
