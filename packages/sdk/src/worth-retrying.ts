/** Whether a lease that has ended so is worth another try. */
import { TERMS, type EndReason } from "@xenoservers/market";

/** It ended by no fault of its customer's, in a way that another try need not end in. */
export function isWorthRetrying(reason: EndReason): boolean {
  const { blame, retryFree } = TERMS[reason];
  return blame === "owner" || blame === "broker" || (blame === "nobody" && retryFree);
}
