/** What a lease on a given offer would cost at most: shown before the start, frozen in the purchase order. Pure; the broker and the customer compute the same. */
import { affordableMs, costNanos, costPerHourNanos, type PriceVector, type Resources } from "./resources.ts";

export interface QuoteInput {
  resources: Resources;
  price: PriceVector;
  budgetNanos: bigint;
  durationMsMax: number;
}

export interface Quote {
  ratePerHourNanos: bigint;
  /** The lease's longest time: the order's, or what the budget pays for. */
  durationMsMax: number;
  /** Which of the two it is: decides whether reaching it is called `time-limit` or `budget`. */
  boundBy: "time-limit" | "budget";
  /** Worst cost, held in full before the start. */
  holdNanos: bigint;
  cancellationNanos: bigint;
}

/** A reserved and unused slot costs one second of it. */
const CANCELLATION_MS = 1_000;

export function quote({ resources, price, budgetNanos, durationMsMax }: QuoteInput): Quote {
  const affordable = affordableMs(resources, price, budgetNanos);
  const bounded = Math.min(durationMsMax, affordable);
  const holdNanos = costNanos(resources, price, bounded);
  const cancellation = costNanos(resources, price, CANCELLATION_MS);
  return {
    ratePerHourNanos: costPerHourNanos(resources, price),
    durationMsMax: bounded,
    boundBy: affordable < durationMsMax ? "budget" : "time-limit",
    holdNanos,
    cancellationNanos: cancellation < holdNanos ? cancellation : holdNanos,
  };
}
