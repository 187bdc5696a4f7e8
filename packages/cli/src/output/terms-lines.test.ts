import { TERMS, priceVectorOf } from "@xenoservers/market";
import { PAPER_PRICE } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { worstLines, worstPay } from "./terms-lines.ts";

const worst = { holdNanos: 1_000_000n, cancellationNanos: 1_000n, price: priceVectorOf(PAPER_PRICE) };

it("says the most that any end of a cause can cost, whatever reasons there are", () => {
  const rank = ["nothing", "cancellation", "used"];
  for (const terms of ["on-result", "by-interval"] as const)
    for (const row of Object.values(TERMS))
      expect(rank.indexOf(row.pay[terms])).toBeLessThanOrEqual(rank.indexOf(worstPay(row.cause, terms)));
});

it("names what is paid on result, and what is not", () => {
  const [used, nothing, doubts] = worstLines({ terms: "on-result", ...worst }, "credits");
  expect(used).toMatch(/^you pay {2}what was used, at most 0\.0010 credits, when it ends by itself; it reaches your limits; you stop it/);
  expect(nothing).toMatch(
    /^you pay {2}nothing, when the owner stops it; the server fails or is not heard; the broker is away too long; it crashes/,
  );
  expect(doubts).toMatch(/^doubts {3}an objection puts down 0\.0001 credits at most, a dispute 0\.001\d* credits and the referee's run/);
});

it("leaves out what never happens under the terms", () => {
  const lines = worstLines({ terms: "by-interval", ...worst }, "credits");
  expect(lines.filter((line) => line.startsWith("you pay"))).toHaveLength(1);
});
