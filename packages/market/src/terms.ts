/**
 * The terms' table: how every lease can end, who is to blame, and who is paid under which terms (PROTOCOL section 6).
 * Total over EndReason x PaymentTerms, so a new reason does not type-check until somebody decides who pays.
 */

export type PaymentTerms = "on-result" | "by-interval";
export const PAYMENT_TERMS = ["on-result", "by-interval"] as const satisfies readonly PaymentTerms[];

export type Blame = "customer" | "owner" | "broker" | "nobody";

export const END_REASONS = [
  "completed",
  "segment-end",
  "time-limit",
  "fuel-limit",
  "budget",
  "memory-limit",
  "output-limit",
  "module-malformed",
  "image-refused",
  "guest-panic",
  "vm-crashed",
  "input-missing",
  "customer-stop",
  "owner-stop",
  "server-failed",
  "server-unreachable",
  "not-accepted",
  "not-started",
  "not-revealed",
  "broker-failed",
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** The run was stopped at a moment that is chance: what it used can be bounded by time, not recomputed. */
export const STOPPED_FROM_OUTSIDE: readonly EndReason[] = ["time-limit", "customer-stop", "owner-stop"];

/** Reasons a server may state in a result manifest; every other reason is the broker's to find. */
export const RESULT_REASONS = [
  "completed",
  "segment-end",
  "time-limit",
  "fuel-limit",
  "budget",
  "memory-limit",
  "output-limit",
  "module-malformed",
  "image-refused",
  "guest-panic",
  "vm-crashed",
  "input-missing",
  "customer-stop",
  "owner-stop",
  "server-failed",
] as const satisfies readonly EndReason[];

/**
 * `used`: the customer pays the billable time. `cancellation`: the minimum that a reserved, unused slot costs. `nothing`: a full refund.
 */
export type Pay = "used" | "cancellation" | "nothing";

export interface TermsRow {
  blame: Blame;
  /** Whether the same order may be run again without the customer having paid for this try. */
  retryFree: boolean;
  pay: Record<PaymentTerms, Pay>;
  /** One sentence for people, shown by `lease show`. */
  says: string;
}

const bothUsed = { "on-result": "used", "by-interval": "used" } as const;
const nothing = { "on-result": "nothing", "by-interval": "nothing" } as const;
const intervalOnly = { "on-result": "nothing", "by-interval": "used" } as const;

export const TERMS: Record<EndReason, TermsRow> = {
  completed: { blame: "nobody", retryFree: false, pay: bothUsed, says: "the job ran to its end" },
  "segment-end": { blame: "nobody", retryFree: false, pay: bothUsed, says: "the part of the job that was asked for ran to its end" },
  "time-limit": { blame: "customer", retryFree: false, pay: bothUsed, says: "the job reached the order's maximum time" },
  "fuel-limit": { blame: "customer", retryFree: false, pay: bothUsed, says: "the job used all the fuel its customer allowed it" },
  budget: { blame: "customer", retryFree: false, pay: bothUsed, says: "the budget was used up" },
  "memory-limit": { blame: "customer", retryFree: false, pay: bothUsed, says: "the job needed more memory than was ordered" },
  "output-limit": { blame: "customer", retryFree: false, pay: bothUsed, says: "the job wrote more output than was ordered" },
  "module-malformed": { blame: "customer", retryFree: false, pay: bothUsed, says: "the module is not valid WebAssembly for this engine" },
  "image-refused": { blame: "customer", retryFree: true, pay: nothing, says: "the image cannot be started; nothing ran and nothing is charged" },
  "guest-panic": { blame: "customer", retryFree: false, pay: bothUsed, says: "the guest's own system panicked" },
  "vm-crashed": { blame: "nobody", retryFree: true, pay: intervalOnly, says: "the virtual machine itself crashed; whose doing it was cannot be told" },
  "input-missing": {
    blame: "customer",
    retryFree: false,
    pay: { "on-result": "cancellation", "by-interval": "cancellation" },
    says: "the job's bytes did not arrive in time, or did not match the order's hash",
  },
  "customer-stop": { blame: "customer", retryFree: false, pay: bothUsed, says: "the customer stopped it" },
  "owner-stop": { blame: "owner", retryFree: true, pay: intervalOnly, says: "the owner stopped it" },
  "server-failed": { blame: "owner", retryFree: true, pay: nothing, says: "the server failed; a host's failure is never a result" },
  "server-unreachable": { blame: "owner", retryFree: true, pay: intervalOnly, says: "the server was not heard from for longer than the grace" },
  "not-accepted": { blame: "owner", retryFree: true, pay: nothing, says: "the server did not accept in time" },
  "not-started": { blame: "owner", retryFree: true, pay: nothing, says: "the server did not start in time" },
  "not-revealed": { blame: "owner", retryFree: true, pay: nothing, says: "the server committed to a result and did not show it" },
  "broker-failed": { blame: "broker", retryFree: true, pay: nothing, says: "the broker could not keep its part" },
};

/** What a customer loses if the server vanishes mid-lease: the sentence every quote prints. */
export function ifServerVanishes(terms: PaymentTerms): string {
  return TERMS["server-unreachable"].pay[terms] === "nothing"
    ? "nothing: no result, no charge"
    : "what was used up to its last signed claim; the rest of the hold comes back";
}
