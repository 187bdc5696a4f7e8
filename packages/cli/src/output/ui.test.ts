import { afterEach, expect, it } from "vitest";
import { ago, ahead, putTimesAs, when } from "./ui.ts";

const MINUTE = 60_000;

afterEach(() => putTimesAs("short"));

it("says each moment exactly where that is asked for", () => {
  const moment = 1_800_000_000_123;
  expect(when(moment)).toBe("2027-01-15 08:00:00Z");
  putTimesAs("iso");
  for (const said of [when(moment), ago(moment, moment + MINUTE), ahead(moment, moment - MINUTE)])
    expect(said).toBe("2027-01-15T08:00:00.123Z");
});

it("says how long ago something was, and in how long it will be", () => {
  const now = 1_800_000_000_000;
  const times = [-1, -MINUTE, -90 * MINUTE, -50 * 60 * MINUTE];
  expect(times.map((each) => ago(now + each, now))).toEqual(["now", "1 min ago", "1 h ago", "2 d ago"]);
  expect(times.map((each) => ahead(now - each, now))).toEqual(["in a moment", "in 1 min", "in 1 h", "in 2 d"]);
  expect(ahead(now - MINUTE, now)).toBe("1 min ago");
});
