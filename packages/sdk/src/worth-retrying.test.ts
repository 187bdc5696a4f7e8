import { END_REASONS, TERMS } from "@xenoservers/market";
import { expect, it } from "vitest";
import { isWorthRetrying } from "./worth-retrying.ts";

it("is nothing that its customer has brought about, nor what has run to its end", () => {
  const again = END_REASONS.filter(isWorthRetrying);
  expect(again.filter((reason) => TERMS[reason].blame === "customer" || reason === "completed")).toEqual([]);
  expect(again).toEqual(expect.arrayContaining(["owner-stop", "server-failed", "server-unreachable", "not-started", "broker-failed"]));
});
