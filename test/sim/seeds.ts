import { expect, it } from "vitest";
import { simulate } from "./market.ts";

/** Of so many seeds, on average: one owner lies in two seeds of three, not always to somebody who doubts it. */
const SEEDS_A_CONVICTION = 17;

/** Runs seeds in parts, so that a failure is seen early; asserts also that the runs were about something. */
export function simulateSeeds(from: number, to: number, part: number): void {
  const parts = Array.from({ length: (to - from) / part }, (_, i) => from + i * part);
  const convictions: number[] = [];

  it.each(parts)("holds on the seeds from %i on", async (start) => {
    const reasons: Record<string, number> = {};
    let convicted = 0;
    for (let seed = start; seed < start + part; seed++) {
      const run = await simulate({ seed });
      convicted += run.convicted;
      expect(run.problem, `seed ${seed}: run \`npm run sim -- --seed ${seed}\``).toBeNull();
      for (const lease of run.leases) reasons[lease.end?.reason ?? lease.state] = (reasons[lease.end?.reason ?? lease.state] ?? 0) + 1;
    }
    convictions.push(convicted);
    expect(reasons["completed"]).toBeGreaterThan(20);
    expect(convicted).toBeGreaterThan(0);
    expect(Object.keys(reasons).length).toBeGreaterThanOrEqual(6);
  });

  it("convicts liars again and again", () => {
    expect(convictions).toHaveLength(parts.length);
    expect(convictions.reduce((sum, n) => sum + n, 0)).toBeGreaterThan(Math.floor((to - from) / SEEDS_A_CONVICTION));
  });
}
