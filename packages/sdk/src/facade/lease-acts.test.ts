import { PaperMarket, Random } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import { objectionProblem } from "./lease-acts.ts";

describe("an objection", () => {
  const market = new PaperMarket(new Random(2));
  const server = market.server(market.party("olga"));
  const po = market.purchaseOrder(market.order(market.party("carl")), server, market.offer(server));
  const settled = market.view(po, { state: "settled", end: market.end(po, { dueNanos: "1000" }), deadlineAt: market.now + 60_000 });

  it.each<[string, Parameters<typeof objectionProblem>, RegExp]>([
    ["nothing is settled", [market.view(po), 0n, market.now], /there is no settlement/],
    ["the window is over", [settled, 0n, market.now + 61_000], /the window for objections ended/],
    ["it says what the settlement says", [settled, 1_000n, market.now], /say what should have been paid/],
    ["more than was held is claimed", [settled, 10n ** 12n, market.now], /nobody can owe more than was held/],
    [
      "somebody objected before",
      [{ ...settled, objection: { by: "owner", depositNanos: "1", at: 1 } }, 0n, market.now],
      /the owner has objected already/,
    ],
  ])("is refused before anything is frozen where %s", (_, given, why) => expect(objectionProblem(...given)).toMatch(why));

  it("is the operator's to rule on inside its window", () => expect(objectionProblem(settled, 0n, market.now)).toBeNull());
});
