/** What costs nothing to say is said so often and no more: a lease's log stays below what a receipt holds. */
import { describe, expect, it } from "vitest";
import { earlyClaim, leastExtendedMs, movedOften, shortExtension } from "./log-bounds.ts";
import { opened, refusalOf } from "./lease.fixture.ts";

const YEAR_MS = 365 * 86_400_000;
/** A receipt holds so many documents that are no claims, and so many in all (verify/receipt, protocol). */
const [OTHERS_MAX, DOCUMENTS_MAX] = [100_000, 8_000_000];

const lease = opened({ order: { terms: "by-interval" } });
const timed = (claimIntervalMs: number) => ({ ...lease.timings, claimIntervalMs });

describe("an extension", () => {
  const asked = { ...lease, durationMsMax: 60_000, maxLeaseMs: 80_000, timings: timed(10_000) };

  it("is for what a claim speaks for at least, or for the rest of what the owner leases", () => {
    expect(leastExtendedMs(asked)).toBe(70_000);
    expect(shortExtension(asked, 69_999)).toMatchObject({ code: "bad_payload", facts: { path: "durationMsMax", leastMs: 70_000 } });
    expect(shortExtension(asked, 69_999)?.why).toBe("must be at least 70000 ms: this lease is extended by 10000 ms or more");
    expect(shortExtension(asked, 70_000)).toBeNull();
    const nearly = { ...asked, durationMsMax: 79_000 };
    expect(shortExtension(nearly, 79_999)).toMatchObject({ facts: { leastMs: 80_000 } });
    expect(shortExtension(nearly, 80_000)).toBeNull();
    // what is no extension is the fold's to refuse
    for (const none of [60_000, 1]) expect(shortExtension(asked, none)).toBeNull();
  });

  it("that an older broker took folds as it did", () => {
    expect(refusalOf(lease, "amendment", { content: {} })).toBeNull();
    const byOne = { ...lease, durationMsMax: lease.durationMsMax + 59_999 };
    expect(shortExtension(byOne, byOne.durationMsMax + 1)).not.toBeNull();
    expect(refusalOf(byOne, "extension", { content: { durationMsMax: byOne.durationMsMax + 1 } })).toBeNull();
  });

  it.each([1, 1_000, 10_000, 60_000])("stands, with moves, in a receipt however often a lease is extended (a claim each %d ms)", (each) => {
    let durationMsMax = 1;
    let extensions = 0;
    for (; durationMsMax < YEAR_MS; extensions++)
      durationMsMax = leastExtendedMs({ durationMsMax, maxLeaseMs: YEAR_MS, timings: timed(each) });
    let moves = 0;
    while (movedOften({ ...lease, moves }) === null) moves++;
    expect(extensions).toBeGreaterThan(1_000);
    expect(2 * (extensions + moves)).toBeLessThan(OTHERS_MAX);
  });
});

describe("claims", () => {
  const openedAt = 1_000_000;
  const asked = { ...lease, openedAt, timings: timed(10_000) };
  /** The highest number that is taken after so long. */
  const mostAfter = (ms: number): number => {
    let [taken, refused] = [0, 100_000_000];
    while (refused - taken > 1) {
      const number = Math.floor((taken + refused) / 2);
      if (earlyClaim(asked, number, openedAt + ms)) refused = number;
      else taken = number;
    }
    return taken;
  };

  it("are taken as they are due, a thousand times beside that, and not without end", () => {
    expect(mostAfter(0)).toBe(1_000);
    for (const hours of [1, 24, 24 * 365]) expect(mostAfter(hours * 3_600_000)).toBeGreaterThan(hours * 360 + 999);
    expect(earlyClaim(asked, 1_001, openedAt)).toMatchObject({
      code: "too_early",
      why: "a claim is due every 10000 ms, and 1000 have come",
    });
    expect(earlyClaim(asked, 1_001, openedAt + 10_000)).toBeNull();
  });

  it("of a year stand in a receipt, each with its own, beside all else", () => {
    expect(2 * mostAfter(YEAR_MS) + OTHERS_MAX).toBeLessThan(DOCUMENTS_MAX);
  });
});

it("a lease that has moved without end moves no more, in words", () => {
  expect(movedOften(lease)).toBeNull();
  expect(movedOften({ ...lease, moves: 5_000 })).toBe("it has moved 5000 times, and its log takes no more moves");
});
