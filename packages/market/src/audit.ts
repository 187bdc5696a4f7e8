/**
 * How often a result is audited: run again by the referee, drawn after the owner has signed it, so that it cannot know. Source: PROTOCOL
 * section 9, p·L >= (1−p)·price, which leaves a cheat no expected gain.
 */
import type { OwnerRecord } from "./record.ts";

/** However good the record and high the stake, one job in twenty. */
export const AUDIT_RATE_FLOOR = 0.05;
/** So many right audits halve the rate of a newcomer, of whom every job is audited. */
const AUDITS_TO_HALVE = 4;

/**
 * A probability: at least the floor, more for owners with few right audits, and enough that the locked stake outweighs the price of a
 * lie.
 */
export function auditRate({ audited }: OwnerRecord, dueNanos: bigint, stakeNanos: bigint): number {
  const byRecord = 1 / (1 + audited / AUDITS_TO_HALVE);
  const atRisk = Number(dueNanos + stakeNanos);
  const byStake = atRisk === 0 ? 0 : Number(dueNanos) / atRisk;
  return Math.min(1, Math.max(AUDIT_RATE_FLOOR, byRecord, byStake));
}
