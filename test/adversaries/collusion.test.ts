/** Cheating is expected to gain less than nothing, at every stated rate, alone and as several owners; `npm run bench -- collusion` plays more. */
import { Random } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import { drawPpm, recordPpm } from "@xenoservers/market";
import { cases } from "../thorough.ts";
import { STATED_PPM, auditsFor, colludingOwners, lonelyCheat, type Stated } from "../support/collusion.ts";

const LEASES = cases(800, 20_000);
const STATED: readonly Stated[] = ["as much as the job", "all of the fuel", "anything"];

describe.each(STATED_PPM)("at a stated rate of %i in a million", (ppm) => {
  it("is that of a record", () => {
    expect(recordPpm(auditsFor(ppm))).toBe(ppm);
    if (ppm < 1_000_000) expect(recordPpm(auditsFor(ppm) - 1)).toBeGreaterThan(ppm);
  });

  it.each(STATED)("one owner that lies in every lease, of %s, loses by it", (stated) => {
    expect(lonelyCheat(new Random(ppm), ppm, stated, LEASES)).toBeLessThan(0);
  });

  it.each([
    { owners: 2, colluding: 2, replicas: 2 },
    { owners: 5, colluding: 2, replicas: 2 },
    { owners: 6, colluding: 4, replicas: 3 },
  ])("$colluding of $owners owners that are one person lose by lying, wherever $replicas replicas are drawn", (market) => {
    for (const how of ["always", "together"] as const) {
      const gain = colludingOwners(new Random(ppm), market, how, ppm, LEASES);
      expect(gain, how).toBeLessThan(0);
    }
  });
});

it("would gain without the stake's part in the rate: the test can fail", () => {
  // a record's rate alone, where all that was ordered is stated
  const [due, stake, atFloor] = [1_000_000n, 1_000_000n, STATED_PPM[0]];
  expect((1_000_000n - BigInt(atFloor)) * due - BigInt(atFloor) * stake).toBeGreaterThan(0n);
  expect(drawPpm(atFloor, due, stake)).toBeGreaterThan(500_000);
});
