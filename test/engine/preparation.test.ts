/** What making a module ready costs is counted alike by a run, by one with breakpoints, and by a segment from any of its states. */
import { expect, it } from "vitest";
import { preparationFuel, prepareModule, runJob } from "@xenoservers/engine";
import { cases } from "../thorough.ts";
import { generateModule } from "./generate.ts";
import { padded } from "./padded.ts";
import { built, checkSegments, compiled, jobOf, shown, traced } from "./traced.ts";

const FUEL = 1n << 40n;
const PADDING_BYTES = 130 * 1024;
const ran = (module: Uint8Array) => {
  const prepared = prepareModule(module);
  if (!prepared.ok) throw new Error(prepared.message);
  const out: Uint8Array[] = [];
  return shown(runJob(jobOf(compiled(prepared.bytes), out, FUEL)), out);
};

it("stands before everything that a job does, in every build and segment of it", () => {
  let segments = 0;
  for (let seed = 1; seed <= cases(4, 12); seed++) {
    const large = padded(generateModule(seed, true), PADDING_BYTES);
    const build = built(large);
    if (!build) continue;
    const paid = ran(large);
    const price = preparationFuel(large.length);
    expect(price).toBe(2n ** 25n);
    expect(BigInt(paid.fuel), `seed ${seed}`).toBeGreaterThanOrEqual(price);
    for (const step of [price / 3n, price + (BigInt(paid.fuel) - price) / 2n + 1n]) {
      const trace = traced(build, step, FUEL);
      expect(trace.result, `seed ${seed}`).toEqual(paid);
      checkSegments(build, step, trace, FUEL);
      segments += trace.states.length;
    }
  }
  expect(segments).toBeGreaterThan(8);
});
