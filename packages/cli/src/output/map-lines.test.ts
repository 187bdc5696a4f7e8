import { expect, it } from "vitest";
import { leftText, mapText } from "./map-lines.ts";

const some = {
  ...{ all: 40, done: 10, failed: 1, running: 4, earlier: 2, costNanos: 50_000_000n, estimateNanos: 200_000_000n },
  ...{ perSecond: 0.25, leftMs: 120_000 },
};

it("says how far it is, what it has cost, and what is to come while something is", () => {
  expect(mapText(some, "credits")).toBe(
    "map      10/40 done, 2 of them earlier, 1 failed, 4 running, 0.25/s, cost 0.0500 credits, about 0.2000 credits in all, 2 min 0 s left",
  );
  expect(mapText({ ...some, done: 40, earlier: 0, running: 0, perSecond: 2, leftMs: 0 }, "credits")).toBe(
    "map      40/40 done, 1 failed, 0 running, 2.0/s, cost 0.0500 credits",
  );
});

it("says what goes on, where there is something to go on with", () => {
  expect(leftText([], 0, "xeno map")).toBe(null);
  expect(leftText(["a", "b"], 1, "xeno map")).toMatch(/^2 inputs left undone \(a, b\): .*: xeno map$/);
  expect(leftText([..."abcdefg"], 0, "xeno map")).toMatch(/^7 inputs left undone \(a, b, c, d, e and 2 more\): /);
  expect(leftText([], 1, "xeno map")).toMatch(/^1 input came to no result here.*pays nothing again: xeno map$/);
});
