/**
 * How often a result is audited: run again by the referee, drawn after the owner has signed it, so that it cannot know. Source: PROTOCOL
 * section 9, p·L >= (1−p)·price, which leaves a cheat no expected gain. Rates are parts per million: integers, so that all sides agree on
 * them. Who controls the inputs: the customer (the order), the broker (what it says of the record), the fold (what is due, the stake).
 */
import { isDeterministic, type Assurance } from "./assurance.ts";
import { runsAlike, type Driver } from "./drivers.ts";
import { proofOf } from "./lease/proofs.ts";
import { TERMS, type EndReason, type PaymentTerms } from "./lease/terms.ts";

/** Certainty, in the unit of rates. */
export const PPM = 1_000_000;
const PPM_WIDE = BigInt(PPM);
/** However good the record and high the stake, one job in a hundred. */
export const AUDIT_PPM_FLOOR = 10_000;
/** So many right audits halve the rate of a newcomer, of whom every job is audited. */
const AUDITS_TO_HALVE = 4;
/** By so many tenths the expected loss of a cheat outweighs what it gains. */
const OUTWEIGHS_TENTHS = 11n;
const TENTH = 10n;

interface AuditedOrder {
  driver: Driver;
  assurance: Assurance;
  terms: PaymentTerms;
  segment: boolean;
}

/**
 * Whether results of such an order are audited: another run can show them wrong, and stake stands behind them. A segment is a referee's
 * own work. Replicas are audited too: owners that are one person agree on any lie.
 */
export const isAudited = ({ driver, assurance, terms, segment }: AuditedOrder): boolean =>
  isDeterministic(assurance) && runsAlike(driver, assurance) && terms === "on-result" && !segment;

/** Each replica of an order is drawn by itself, and one run of the referee judges them all: it is held for with the first of them. */
export const holdsReserve = (order: AuditedOrder, slot: number): boolean => slot === 0 && isAudited(order);

const ceilDiv = (amount: bigint, by: bigint): bigint => (amount + by - 1n) / by;

/** By the owner's record, frozen in the purchase order. `audited`: right audits so far. */
export const recordPpm = (audited: number): number =>
  Math.max(AUDIT_PPM_FLOOR, Math.ceil((PPM * AUDITS_TO_HALVE) / (AUDITS_TO_HALVE + audited)));

/** The least at which the locked stake outweighs what a lie is paid. */
function stakePpm(dueNanos: bigint, stakeNanos: bigint): number {
  const outweighing = ceilDiv(dueNanos * OUTWEIGHS_TENTHS * PPM_WIDE, (dueNanos + stakeNanos) * TENTH || 1n);
  return outweighing > PPM_WIDE ? PPM : Number(outweighing);
}

/** The rate at which a result is drawn: its owner's, or more where what is due is much beside the stake. */
export const drawPpm = (frozenPpm: number, dueNanos: bigint, stakeNanos: bigint): number =>
  Math.max(frozenPpm, stakePpm(dueNanos, stakeNanos));

/** What was stated of a draw: `audited` null where the result cannot be audited; the round null where none was open. */
export interface StatedDraw {
  audited: boolean | null;
  auditRound: string | null;
}
export const NOT_AUDITED: StatedDraw = { audited: null, auditRound: null };

interface AuditedLease {
  /** 0: its order is not audited. */
  auditPpm: number;
  terms: PaymentTerms;
  driver: Driver;
  assurance: Assurance;
  fuelMax: string;
  result: { reason: EndReason; fuel: string } | null;
}

/** Whether this end is drawn for: the result that closed the lease is paid for, and another run can show it. */
export const isDrawnFor = (lease: AuditedLease, reason: EndReason): boolean => {
  const { auditPpm, terms, fuelMax, result } = lease;
  if (auditPpm === 0 || result?.reason !== reason || TERMS[reason].pay[terms] !== "used") return false;
  return proofOf(lease, { ...result, fuelMax }) !== null;
};

/** Why a draw cannot be so, whatever was drawn; null where it can. Without a round everything is drawn. */
export function statedDrawProblem(lease: AuditedLease, reason: EndReason, { audited, auditRound }: StatedDraw): string | null {
  if (isDrawnFor(lease, reason) !== (audited !== null)) return audited === null ? "it is not drawn for" : "it cannot be audited";
  if (audited === null && auditRound !== null) return "a round is named, and nothing is drawn";
  return audited === false && auditRound === null ? "what no round can show is drawn" : null;
}
