import { describe, expect, it } from "vitest";
import { clockAllowanceMs, clockIsRight, clockWasSet, clockBetween, clockWords } from "./clock.ts";

describe("a clock beside the market's", () => {
  it.each([
    [1_000, 1_000, 1_000, { offsetMs: 0, errorMs: 0 }],
    [1_050, 1_000, 1_100, { offsetMs: 0, errorMs: 50 }],
    [7_201_050, 1_000, 1_100, { offsetMs: 7_200_000, errorMs: 50 }],
    [0, 3_600_000, 3_600_001, { offsetMs: -3_600_000, errorMs: 1 }],
    // the clock that measures was set back meanwhile
    [1_000, 1_000, 900, { offsetMs: 50, errorMs: 0 }],
  ])("that says %i between %i and %i is %j", (theirs, askedAt, answeredAt, reading) => {
    expect(clockBetween(theirs, askedAt, answeredAt)).toEqual(reading);
  });

  it("may be off by half the time that an acceptance has, and by what nobody can tell", () => {
    const allowedMs = clockAllowanceMs({ acceptWithinMs: 5_001 });
    expect(allowedMs).toBe(2_500);
    const isRight = (offsetMs: number, errorMs: number): boolean => clockIsRight({ offsetMs, errorMs }, allowedMs);
    expect([isRight(2_500, 0), isRight(-2_500, 0), isRight(2_501, 1), isRight(-3_000, 500)]).toEqual([true, true, true, true]);
    expect([isRight(2_501, 0), isRight(-2_502, 1), isRight(7_200_000, 500)]).toEqual([false, false, false]);
  });

  it("is said in the largest unit of which there are two", () => {
    const words = [-2_500, 119_999, 120_000, -7_200_000, 259_200_000].map((offsetMs) => clockWords({ offsetMs }));
    expect(words).toEqual(
      ["2.5 s behind", "120.0 s ahead of", "2 min ahead of", "2 h behind", "3 days ahead of"].map((each) => `${each} the market's`),
    );
    expect(clockWords({ offsetMs: 5_400_000 }, "the broker's")).toBe("90 min ahead of the broker's");
  });

  it("was set when two readings cannot both be of a clock that only went on", () => {
    const at = (offsetMs: number, errorMs: number) => ({ offsetMs, errorMs });
    expect([clockWasSet(at(0, 10), at(1_020, 10), 1_000), clockWasSet(at(-7_200_000, 10), at(0, 10), 1_000)]).toEqual([false, true]);
    expect(clockWasSet(at(0, 10), at(-1_021, 10), 1_000)).toBe(true);
  });
});
