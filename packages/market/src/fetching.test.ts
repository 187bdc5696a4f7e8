/** What fetches that fail at nobody's cost make of a customer's next orders. */
import { expect, it } from "vitest";
import {
  FAILED_FETCHES_MAX,
  FAILED_FETCHES_MS,
  FETCH_CONDITION,
  NO_FAILED_FETCHES,
  asksForFetch,
  failedFetchesAfter,
  noFetchUntil,
  type FailedFetches,
} from "./fetching.ts";
import { checkConditions } from "./condition.ts";
import { END_REASONS } from "./lease/terms.ts";

const AT = 1_000_000_000;
const failed = (...times: number[]): FailedFetches =>
  times.reduce((all, at) => failedFetchesAfter(all, { reason: "image-unfetched", at }), NO_FAILED_FETCHES);

it("an order says by one condition that its server is to fetch an image", () => {
  expect(checkConditions([FETCH_CONDITION])).toBeNull();
  expect(asksForFetch([FETCH_CONDITION])).toBe(true);
  for (const other of [
    { ...FETCH_CONDITION, value: "no" },
    { ...FETCH_CONDITION, op: "!=" as const },
    { key: "cpu", op: ">=" as const, value: "1" },
  ])
    expect(asksForFetch([other])).toBe(false);
});

it("so many in an hour are free, and then none is taken until that hour is over", () => {
  const all = failed(...Array.from({ length: FAILED_FETCHES_MAX }, (_, i) => AT + i));
  expect(noFetchUntil(failed(...Array.from({ length: FAILED_FETCHES_MAX - 1 }, () => AT)), AT)).toBeNull();
  expect(noFetchUntil(all, AT + 10)).toBe(AT + FAILED_FETCHES_MS);
  expect(noFetchUntil(all, AT + FAILED_FETCHES_MS)).toBeNull();
  // whoever had many under way at once gains no further hour by it, and the next hour counts anew
  expect(failedFetchesAfter(all, { reason: "image-unfetched", at: AT + FAILED_FETCHES_MS })).toEqual({
    since: AT + FAILED_FETCHES_MS,
    count: 1,
  });
  expect(noFetchUntil(NO_FAILED_FETCHES, AT)).toBeNull();
});

it.each(END_REASONS.filter((reason) => reason !== "image-unfetched"))("%s changes nothing of it", (reason) => {
  const before = failed(AT);
  expect(failedFetchesAfter(before, { reason, at: AT })).toBe(before);
});
