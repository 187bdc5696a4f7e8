/** An error as an agent is told of it: code, whose doing it is, what it means for the money, and what to do next. */
import { ERROR_CODES } from "@xenoservers/protocol";
import { BrokenPurchaseOrder, MarketError, RefusedError } from "@xenoservers/sdk";
import { UserError, describeRefusal } from "../output/ui.ts";
import type { Call } from "./tool.ts";

interface ToldError {
  code: string;
  says: string;
  blame: string;
  /** What it means for the money. */
  money: string;
  next: string;
  /** The same call may be taken later. */
  retryable: boolean;
}

/** The second half of what a code says is what to do. */
function nextOf(says: string, retryable: boolean): string {
  const at = says.search(/[;:.] /);
  if (at >= 0) return says.slice(at + 2);
  return retryable ? "try again later" : "change what was asked for: docs/errors.md has a line for each code";
}

export function toldError(error: unknown, { effect }: Call["money"]): ToldError {
  if (error instanceof RefusedError) {
    const { code } = error.refusal;
    const { says, blame, retryable } = ERROR_CODES[code];
    return { code, says: describeRefusal(error.refusal).join("\n"), blame, money: effect, next: nextOf(says, retryable), retryable };
  }
  const says = error instanceof Error ? error.message : String(error);
  if (error instanceof BrokenPurchaseOrder)
    return {
      ...{ code: "broken_purchase_order", says, blame: "broker", money: "the lease was stopped: what it cost the broker owes" },
      ...{ next: "tell the person whose token this is; do not order here again", retryable: false },
    };
  if (error instanceof UserError)
    return { code: "bad_input", says, blame: "caller", money: effect, next: "correct the call as the words say", retryable: false };
  if (error instanceof MarketError) {
    const { code, blame, next, retryable } = error;
    return { code, says, blame, money: effect, next, retryable };
  }
  return { code: "failed", says, blame: "unknown", money: effect, next: "look with the tool leases, then try again", retryable: true };
}
