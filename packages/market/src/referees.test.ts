/** Who judges: by the rule alone, never a party's own, each once. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TERMS, isEndReason } from "./lease/terms.ts";
import { REFEREES_MAX, drawReferee, impartial, refereeFailed, refereesAt } from "./referees.ts";

const hex = fc.bigInt(0n, 2n ** 256n - 1n).map((seed) => seed.toString(16).padStart(64, "0"));
const names = (n: number): string[] => Array.from({ length: n }, (_, i) => `s_${String(i).padStart(2, "0")}`);

describe("a draw", () => {
  it("gives every candidate one round, and nobody one after that", () => {
    fc.assert(
      fc.property(hex, fc.integer({ min: 0, max: REFEREES_MAX }), (seed, n) => {
        const candidates = names(n);
        const drawn = Array.from({ length: n }, (_, i) => drawReferee(seed, candidates, i + 1));
        expect([...drawn].sort()).toEqual(candidates);
        expect(drawReferee(seed, candidates, n + 1)).toBeNull();
      }),
    );
  });

  it("is fair: of many settlements each candidate has its share of every round", () => {
    const candidates = names(3);
    const seeds = Array.from({ length: 3_000 }, (_, i) => BigInt.asUintN(256, BigInt(i + 1) * 0x9e3779b97f4a7c15f39cc0605cedc835n ** 3n));
    for (const round of [1, 2, 3])
      for (const candidate of candidates) {
        const share = seeds.filter((seed) => drawReferee(seed.toString(16).padStart(64, "0"), candidates, round) === candidate).length;
        expect(share).toBeGreaterThan(850);
        expect(share).toBeLessThan(1_150);
      }
  });

  it("depends on the settlement and on all candidates", () => {
    const drawn = new Set(Array.from({ length: 64 }, (_, i) => drawReferee(i.toString(16).padStart(64, "0"), names(8), 1)));
    expect(drawn.size).toBe(8);
  });
});

describe("who can be drawn", () => {
  const said = [
    { server: "b", active: true, at: 1 },
    { server: "a", active: true, at: 2 },
    { server: "b", active: false, at: 3 },
    { server: "b", active: true, at: 5 },
  ];

  it("was a referee before the settlement, by what the operator said last", () => {
    expect([1, 2, 3, 4, 5, 6].map((at) => refereesAt(said, at))).toEqual([[], ["b"], ["a", "b"], ["a"], ["a"], ["a", "b"]]);
  });

  it("is neither party's own, and of an owner that is known", () => {
    const owners: Record<string, string> = { a: "owner", b: "customer", c: "somebody" };
    expect(impartial(["a", "b", "c", "d"], (server) => owners[server] ?? null, { owner: "owner", customer: "customer" })).toEqual(["c"]);
  });
});

it("counts as failed where the host or the broker failed, never where the customer did", () => {
  const failed = Object.keys(TERMS)
    .filter(isEndReason)
    .filter((reason) => refereeFailed(reason));
  expect(failed).toEqual(
    expect.arrayContaining(["server-failed", "server-unreachable", "not-accepted", "not-started", "owner-stop", "broker-failed"]),
  );
  for (const reason of ["completed", "segment-end", "input-missing", "budget", "customer-stop", "not-delivered"] as const)
    expect(failed).not.toContain(reason);
});
