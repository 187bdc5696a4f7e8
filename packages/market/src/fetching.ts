/**
 * Images that a server fetches from an address: what an order says of it, and what it costs when the address fails. Nobody pays then and
 * nobody is blamed, because nobody can tell whose doing it was; so both sides could bring it about for nothing, and both are bounded. A
 * server that says so to customer after customer misses (conduct.ts); a customer whose addresses fail again and again gets no more such
 * orders for a while. Who controls the inputs: the customer (its orders and addresses), the server (what it says of them), the broker
 * (times).
 */
import type { Condition } from "./condition.ts";
import type { EndReason } from "./lease/terms.ts";

/** What an order holds whose server is to fetch an image: only then may it end as one that could not be fetched. */
export const FETCH_CONDITION = { key: "fetches", op: "=", value: "yes" } as const satisfies Condition;

export const asksForFetch = (conditions: readonly Condition[]): boolean =>
  conditions.some(({ key, op, value }) => key === FETCH_CONDITION.key && op === FETCH_CONDITION.op && value === FETCH_CONDITION.value);

/** From the last moment for inputs: until then the image may come. As much longer is the lease's slot kept for it. */
export const FETCH_WITHIN_MS = 30 * 60_000;

/** Of a customer: how many fetches have failed since then, in broker time. */
export interface FailedFetches {
  since: number;
  count: number;
}

export const NO_FAILED_FETCHES: FailedFetches = { since: 0, count: 0 };

/** So many in an hour cost nothing; then no order that asks for one is taken until the hour is over. */
export const FAILED_FETCHES_MAX = 3;
export const FAILED_FETCHES_MS = 3_600_000;

const isOver = ({ since }: FailedFetches, at: number): boolean => at >= since + FAILED_FETCHES_MS;

/** What a lease that is over makes of it; the same object where nothing changes. */
export function failedFetchesAfter(before: FailedFetches, { reason, at }: { reason: EndReason; at: number }): FailedFetches {
  if (reason !== "image-unfetched") return before;
  return isOver(before, at) ? { since: at, count: 1 } : { ...before, count: before.count + 1 };
}

/** Until when no order of the customer's that asks for a fetch is taken; null: it is taken. */
export function noFetchUntil(failed: FailedFetches, at: number): number | null {
  return failed.count < FAILED_FETCHES_MAX || isOver(failed, at) ? null : failed.since + FAILED_FETCHES_MS;
}
