import type { ServerStanding } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { standingLines } from "./standing-lines.ts";

const good: ServerStanding = {
  ...{ server: `s_${"a".repeat(40)}`, why: [], validUntil: 1, allowedParties: 0, clock: null },
  conduct: { coolUntil: 0, misses: 0, reason: null, together: false },
  record: { leases: 1, completed: 1, ownerFailures: 0, missed: 2, convicted: 0, audited: 0 },
};

it("says that a server gets orders, and its record", () => {
  expect(standingLines(good)).toEqual([
    "the broker offers it for orders",
    "its owner's record: 1 lease, 1 completed, 0 failed, 2 missed, 0 convicted",
  ]);
  expect(standingLines({ ...good, allowedParties: 2 })[0]).toBe("the broker offers it for orders of the parties that it names");
});

it("says each reason why it gets none, with what the broker sends as data", () => {
  const rests = { coolUntil: Date.UTC(2026, 10, 28, 12), misses: 3, reason: "not-accepted\u001B[2J", together: true };
  const clock = { offsetMs: -7_000, errorMs: 1, isRight: false };
  const why = ["offline", "not_listed", "expired", "clock_off", "cooling", "suspended", "full", "judging_only"] as const;
  const lines = standingLines({ ...good, why: [...why], clock, conduct: rests });
  expect(lines).toHaveLength(why.length + 1);
  expect(lines.join("\n")).not.toContain("\u001B");
  expect(lines[3]).toBe("no orders: its clock was 7.0 s behind the market's when it logged in");
  expect(lines[4]).toMatch(
    /^no orders: it rests until .*, after 3 orders missed in a row by all servers of its owner, the last one: not-acc/,
  );
});
