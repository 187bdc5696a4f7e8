/** Why a lease does not take a fact. Returned, never thrown. */
import type { Lease } from "./lease.ts";

export const LEASE_REFUSALS = [
  "wrong_state",
  "too_late",
  "too_early",
  "not_yours",
  "conflict",
  "bad_payload",
  "po_mismatch",
  "result_mismatch",
  "bill_mismatch",
  "not_comparable",
  "not_drawn",
  "result_agrees",
  "claim_out_of_order",
  "claim_decreasing",
  "claim_chain_broken",
  "claim_too_early",
] as const;
export type LeaseRefusalCode = (typeof LEASE_REFUSALS)[number];

export interface LeaseRefusal {
  ok: false;
  code: LeaseRefusalCode;
  /** In words, for people. */
  why: string;
  facts: Readonly<Record<string, string | number | boolean | null>>;
}

export type Step = { ok: true; lease: Lease } | LeaseRefusal;

export const refused = (code: LeaseRefusalCode, why: string, facts: LeaseRefusal["facts"] = {}): LeaseRefusal => ({
  ok: false,
  code,
  why,
  facts,
});
export const taken = (lease: Lease): Step => ({ ok: true, lease });

/** The first of these checks that fails, as a refusal; null when all hold. */
export function firstRefused(code: LeaseRefusalCode, checks: readonly (readonly [right: boolean, why: string])[]): LeaseRefusal | null {
  const wrong = checks.find(([right]) => !right);
  return wrong ? refused(code, wrong[1]) : null;
}
