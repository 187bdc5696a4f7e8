import { expect, it } from "vitest";
import { ago, ahead } from "./ui.ts";

const MINUTE = 60_000;

it("says how long ago something was, and in how long it will be", () => {
  const now = 1_800_000_000_000;
  const times = [-1, -MINUTE, -90 * MINUTE, -50 * 60 * MINUTE];
  expect(times.map((each) => ago(now + each, now))).toEqual(["now", "1 min ago", "1 h ago", "2 d ago"]);
  expect(times.map((each) => ahead(now - each, now))).toEqual(["in a moment", "in 1 min", "in 1 h", "in 2 d"]);
  expect(ahead(now - MINUTE, now)).toBe("1 min ago");
});
