/** Honest parties are never convicted: on seeds, each of which can be played again by the bench. */
import { beforeAll, describe, expect, it } from "vitest";
import { cases } from "../thorough.ts";
import { Court } from "./cases.ts";
import { ENDS } from "./plan.ts";

const HONEST = cases(80, 1_000);
let court: Court;

beforeAll(async () => {
  court = await Court.open();
});

describe("whoever is honest", () => {
  it("is never convicted, never waits past a deadline, and never loses more than is stated", async () => {
    for (let seed = 0; seed < HONEST; seed++) await court.honest(seed);
    const { wronged, ends, judged } = court.counted;
    expect(wronged, "play one again: npm run bench -- court --seed N").toEqual([]);
    for (const end of ENDS)
      expect(ends[end === "exit-code" || end === "trap" ? "completed" : end], end).toBeGreaterThanOrEqual(HONEST / 30);
    for (const how of ["by the first referee", "by another referee", "overturned", "a segment", "the whole job"])
      expect(judged[how], how).toBeGreaterThan(0);
  });
});
