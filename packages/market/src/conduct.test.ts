/** How long a server that misses orders gets none, and what makes it as good as new. */
import { describe, expect, it } from "vitest";
import {
  COOL_FIRST_MS,
  COOL_MAX_MS,
  GOOD_CONDUCT,
  OWNER_MISSES_FREE,
  TURNED_AWAY_KEPT,
  TURNED_AWAY_MAX,
  conductAfter,
  coolerOf,
  type Conduct,
  type Ended,
} from "./conduct.ts";
import { END_REASONS, TERMS, type EndReason } from "./lease/terms.ts";

const AT = 1_000_000;
const ended = (reason: EndReason, over: Partial<Ended> = {}): Ended => ({ reason, customer: "customer", owner: "owner", at: AT, ...over });
const after = (times: number, reason: EndReason = "not-accepted", free = 0): Conduct =>
  Array.from({ length: times }).reduce<Conduct>((conduct) => conductAfter(conduct, ended(reason), free), GOOD_CONDUCT);

describe("a server's conduct", () => {
  it.each(END_REASONS)("cools it down after %s only where that is its own doing", (reason) => {
    const { coolUntil, misses } = conductAfter(GOOD_CONDUCT, ended(reason));
    const isMiss = ["missed", "failed"].includes(TERMS[reason].record);
    expect([coolUntil, misses]).toEqual(isMiss ? [AT + COOL_FIRST_MS, 1] : [0, 0]);
    if (isMiss) expect(TERMS[reason].blame).toBe("owner");
  });

  it("doubles with each miss, up to a bound, and says what the last one was", () => {
    const waits = Array.from({ length: 14 }, (_, i) => after(i + 1).coolUntil - AT);
    expect(waits.slice(0, 3)).toEqual([COOL_FIRST_MS, 2 * COOL_FIRST_MS, 4 * COOL_FIRST_MS]);
    expect(waits.every((ms, i) => ms === COOL_MAX_MS || ms === COOL_FIRST_MS * 2 ** i)).toBe(true);
    expect(after(2_000).coolUntil - AT).toBe(COOL_MAX_MS);
    expect(conductAfter(after(1), ended("server-failed")).reason).toBe("server-failed");
  });

  it("is forgotten by one lease that was kept, of another party than its owner, and by nothing else", () => {
    const bad = after(5);
    expect(conductAfter(bad, ended("completed"))).toEqual(GOOD_CONDUCT);
    expect(conductAfter(bad, ended("completed", { customer: "owner" }))).toBe(bad);
    for (const reason of ["customer-stop", "not-delivered", "broker-failed", "vm-crashed"] as const)
      expect(conductAfter(bad, ended(reason)), reason).toBe(bad);
    expect(conductAfter(GOOD_CONDUCT, ended("completed"))).toBe(GOOD_CONDUCT);
  });

  it("is a miss where several customers in a row were turned away at their cost, and not where one is again and again", () => {
    const from = (customer: string, reason: EndReason = "job-refused") => ended(reason, { customer });
    const customers = Array.from({ length: TURNED_AWAY_MAX }, (_, i) => `c${i}`);
    const all = customers.reduce((conduct, customer) => conductAfter(conduct, from(customer)), GOOD_CONDUCT);
    expect(all).toMatchObject({ misses: 1, coolUntil: AT + COOL_FIRST_MS, reason: "job-refused" });
    expect(conductAfter(all, from("one more", "input-missing"))).toMatchObject({ misses: 2 });
    const one = Array.from({ length: 20 }).reduce<Conduct>((conduct) => conductAfter(conduct, from("c")), GOOD_CONDUCT);
    expect(one).toMatchObject({ misses: 0, coolUntil: 0 });
    const between = conductAfter(conductAfter(conductAfter(GOOD_CONDUCT, from("c0")), ended("completed")), from("c1"));
    expect(between).toMatchObject({ misses: 0, turnedAway: ["c1"] });
  });

  it("is a miss where it says to several customers in a row that it could not fetch their images, though nobody pays for that", () => {
    const says = (customer: string) => ended("image-unfetched", { customer });
    const one = Array.from({ length: 20 }).reduce<Conduct>((conduct) => conductAfter(conduct, says("c")), GOOD_CONDUCT);
    expect(one).toMatchObject({ misses: 0, coolUntil: 0 });
    const all = Array.from({ length: TURNED_AWAY_MAX }, (_, i) => says(`c${i}`)).reduce(
      (conduct, end) => conductAfter(conduct, end),
      GOOD_CONDUCT,
    );
    expect(all).toMatchObject({ misses: 1, coolUntil: AT + COOL_FIRST_MS, reason: "image-unfetched" });
  });

  it("is not worn down by a few customers who take turns at being turned away", () => {
    const turns = (parties: number, times: number): Conduct =>
      Array.from({ length: times }, (_, i) => `c${i % parties}`).reduce<Conduct>(
        (conduct, customer) => conductAfter(conduct, ended("input-missing", { customer })),
        GOOD_CONDUCT,
      );
    expect(turns(TURNED_AWAY_MAX, 100)).toMatchObject({ misses: 1, coolUntil: AT + COOL_FIRST_MS });
    expect(turns(100, 100).turnedAway).toHaveLength(TURNED_AWAY_KEPT);
  });

  it("is held against all servers of one owner together after a few misses more", () => {
    expect(after(OWNER_MISSES_FREE, "not-accepted", OWNER_MISSES_FREE).coolUntil).toBe(AT);
    const cooled = after(OWNER_MISSES_FREE + 2, "not-accepted", OWNER_MISSES_FREE);
    expect(cooled.coolUntil).toBe(AT + 2 * COOL_FIRST_MS);
    expect(coolerOf(after(1), cooled)).toBe(cooled);
    expect(coolerOf(cooled, after(1))).toBe(cooled);
  });
});
