import { expect, it } from "vitest";
import { placeText } from "./queue.ts";

it("says its place, how long it waits still, and how to give it up", () => {
  expect(placeText(0, 61_000)).toBe("queue    the market is full: it is next, for at most 1 min 1 s more (Ctrl-C gives it up)");
  expect(placeText(1, 5_000)).toContain("1 order before it");
  // a broker whose clock is ahead
  expect(placeText(2, -5)).toContain("2 orders before it, for at most 0 ms more");
});
