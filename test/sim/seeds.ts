import { expect, it } from "vitest";
import { simulate } from "./market.ts";

/** Runs seeds in parts, so that a failure is seen early; asserts also that the runs were about something. */
export function simulateSeeds(from: number, to: number, part: number): void {
  it.each(Array.from({ length: (to - from) / part }, (_, i) => from + i * part))("holds on the seeds from %i on", async (start) => {
    const reasons: Record<string, number> = {};
    let convictions = 0;
    for (let seed = start; seed < start + part; seed++) {
      const { problem, leases, convicted } = await simulate({ seed });
      convictions += convicted;
      expect(problem, `seed ${seed}: run \`npm run sim -- --seed ${seed}\``).toBeNull();
      for (const lease of leases) reasons[lease.end?.reason ?? lease.state] = (reasons[lease.end?.reason ?? lease.state] ?? 0) + 1;
    }
    expect(reasons["completed"]).toBeGreaterThan(20);
    expect(convictions).toBeGreaterThan(3);
    expect(Object.keys(reasons).length).toBeGreaterThanOrEqual(6);
  });
}
