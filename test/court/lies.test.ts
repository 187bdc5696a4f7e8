/** A lie in one place gains nothing, but for those that are listed: on seeds, each of which can be played again by the bench. */
import { beforeAll, describe, expect, it } from "vitest";
import { statePiecesOf } from "@xenoservers/protocol";
import { Rng } from "../../packages/verify/src/testing/rng.ts";
import { cases } from "../thorough.ts";
import { Court } from "./cases.ts";
import { courtModules, jobOf, run, segmentOf, traced } from "./jobs.ts";
import { OPEN } from "./open.ts";

const LIES = cases(150, 1_000);
let court: Court;

beforeAll(async () => {
  court = await Court.open();
});

describe("whoever lies in one place", () => {
  it("cannot pass other bytes off as a piece of a state", async () => {
    const module = (await courtModules()).find(({ name }) => name === "works");
    const job = jobOf(module!, new Rng(1), 1_000_000n);
    const step = run(job, 1_000_000n).fuel / 3n + 1n;
    const { roots, states } = traced(job, step, null)!;
    const part = { from: roots[0]!, step: step.toString(), index: 2, upTo: null };
    expect(segmentOf(job, part, states).stateRoot).toBe(roots[1]);
    const needed = [part.from, ...statePiecesOf(states.get(part.from)!)!].filter((digest) => states.get(digest)!.length > 0);
    expect(needed.length).toBeGreaterThan(2);
    for (const digest of needed) {
      const bytes = states.get(digest)!;
      const other = Uint8Array.from(bytes, (byte, i) => (i === bytes.length >> 1 ? byte ^ 1 : byte));
      expect(() => segmentOf(job, part, new Map([...states, [digest, other]]))).toThrow("missing");
    }
  });

  it("is refused, or convicted, or has gained nothing; but for what is known to be open", async () => {
    for (let seed = 0; seed < LIES; seed++) await court.lie(seed);
    const { gaps, outcomes, liars, lies } = court.counted;
    expect(Object.keys(gaps).toSorted(), JSON.stringify(gaps, null, 1)).toEqual(Object.keys(OPEN).toSorted());
    expect(outcomes.refused).toBeGreaterThan(lies / 6);
    expect(outcomes.convicted).toBeGreaterThan(lies / 6);
    expect(outcomes.harmless).toBeGreaterThan(lies / 15);
    for (const liar of ["server", "referee", "customer", "broker"]) expect(liars[liar], liar).toBeGreaterThanOrEqual(lies / 50);
  });
});
