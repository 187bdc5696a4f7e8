import { END_REASONS, TERMS, type EndReason } from "@xenoservers/market";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import { filesIn } from "@xenoservers/sdk";
import { exitCodeFor, exitCodeOf, exitCodeWith } from "./deliver.ts";

describe("exit codes", () => {
  it("are the guest's own where it ended by itself, and say who ended it where it did not", () => {
    const codes = new Map(END_REASONS.map((reason) => [reason, exitCodeFor({ reason, exitCode: 7 })]));
    const of = (code: number): EndReason[] => END_REASONS.filter((reason) => codes.get(reason) === code);
    expect(of(7)).toEqual(["completed", "customer-stop"]);
    expect(of(124)).toEqual(["time-limit", "fuel-limit", "budget"]);
    expect(of(137)).toEqual(["memory-limit", "output-limit", "guest-panic"]);
    expect(exitCodeFor({ reason: "customer-stop", exitCode: null })).toBe(130);
    // whatever nobody's program can have said is the market's
    for (const reason of of(125)) expect(TERMS[reason].exitCode, reason).toBe(false);
    expect(of(125)).toContain("not-delivered");
  });

  it("are the market's where there is no end, or a completed guest has no code", () => {
    expect(exitCodeOf({ end: null })).toBe(125);
    expect(exitCodeFor({ reason: "completed", exitCode: null })).toBe(125);
  });

  it("are no success where the result was paid and did not come", () => {
    const market = new PaperMarket(new Random(1));
    const server = market.server(market.party("olga"));
    const order = market.order(market.party("carl"));
    const po = market.purchaseOrder(order, server, market.offer(server));
    const ended = { end: market.end(po, { exitCode: 0 }) };
    expect(exitCodeWith(ended, true)).toBe(0);
    expect(exitCodeWith(ended, false)).toBe(125);
    expect(exitCodeWith({ end: market.end(po, { exitCode: 3 }) }, false)).toBe(3);
    // nothing ran, so nothing can be missing
    expect(exitCodeWith({ end: market.end(po, { reason: "image-refused", exitCode: null }) }, false)).toBe(125);
  });
});

it("counts files in /out alone", () => {
  const file = (path: string) => ({ path, kind: "file" as const, digest: "a".repeat(64), size: 1 });
  expect(filesIn([file("out/a"), file("out/d/b"), { path: "out/d", kind: "directory" }, file("data/c")])).toBe(2);
});
