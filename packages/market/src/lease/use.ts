/**
 * Usage claims: cumulative, hash-chained, signed by the server. A claim is unproved; it can only ever lower what the broker's own clock
 * allows. Who controls the inputs: the owner (every field of a claim).
 */
import { silenceMs } from "./deadlines.ts";
import type { FactOf } from "./facts.ts";
import type { LastClaim, Lease } from "./lease.ts";
import { refused, taken, type LeaseRefusalCode, type Step } from "./refusal.ts";

interface Claim extends LastClaim {
  /** Id of the last claim, or of the opening for the first one. */
  previous: string;
}

type ClaimRefusal = Extract<LeaseRefusalCode, "claim_out_of_order" | "claim_decreasing" | "claim_chain_broken" | "claim_too_early">;

/** More use than log time has passed, by so much, is two clocks' difference. */
const CLOCK_SLACK_MS = 1_000;

/**
 * Checks one claim against the last receipted one. A server that lost its disk raises `incarnation` and goes on from the last logged
 * claim, so an honest crash never looks like a contradiction (PROTOCOL section 4). `mostMs`: what there was time for by now.
 */
export function checkClaim(last: LastClaim, claim: Claim, mostMs: number): ClaimRefusal | null {
  const sameIncarnation = claim.incarnation === last.incarnation && claim.sequence === last.sequence + 1;
  const newIncarnation = claim.incarnation > last.incarnation && claim.sequence === last.sequence + 1;
  if (!sameIncarnation && !newIncarnation) return "claim_out_of_order";
  if (claim.previous !== last.id) return "claim_chain_broken";
  if (claim.usedMs < last.usedMs || claim.egressBytes < last.egressBytes) return "claim_decreasing";
  if (claim.usedMs > mostMs + CLOCK_SLACK_MS) return "claim_too_early";
  return null;
}

/** The place of the first claim: right after the opening. */
export function lastClaimOf(lease: Lease): LastClaim {
  return lease.lastClaim ?? { id: lease.openingId ?? lease.id, incarnation: 1, sequence: 0, usedMs: 0, egressBytes: 0 };
}

/**
 * The most that can have been used by then: the log's time since the opening. Of a lease that has moved, what had been claimed when its
 * first server let it stand still, and the log's time since the move: in between nothing ran.
 */
export function mostUsedMs({ openedAt, metered }: Pick<Lease, "openedAt" | "metered">, at: number): number {
  const from = metered ?? { at: openedAt ?? at, usedMs: 0 };
  return from.usedMs + at - from.at;
}

export function claim(lease: Lease, { id, at, content }: FactOf<"claim">): Step {
  const last = lastClaimOf(lease);
  const { incarnation, sequence, usedMs, egressBytes, previous } = content;
  const code = checkClaim(last, { id, incarnation, sequence, usedMs, egressBytes, previous }, mostUsedMs(lease, at));
  if (code) {
    const facts = { last: last.id, lastSequence: last.sequence, lastUsedMs: last.usedMs, lastEgressBytes: last.egressBytes };
    return refused(code, `claim ${sequence} does not follow claim ${last.sequence} (${code})`, facts);
  }
  return taken({ ...lease, openClaim: { id, incarnation, sequence, usedMs, egressBytes } });
}

/** A claim counts once the broker has receipted it. */
export function receiptClaim(lease: Lease, { at, content }: FactOf<"claim-receipt">): Step {
  const { openClaim } = lease;
  if (!openClaim || content.claim !== openClaim.id) return refused("conflict", "the receipt is for no claim that waits for one");
  if (
    content.sequence !== openClaim.sequence ||
    content.usedMs !== openClaim.usedMs ||
    content.egressBytes !== openClaim.egressBytes ||
    content.at !== at
  )
    return refused("conflict", "the receipt says something else than its claim");
  const heard = lease.state === "open" ? { heardAt: at, silentMs: lease.silentMs + silenceMs(lease, at) } : {};
  return taken({ ...lease, lastClaim: openClaim, openClaim: null, ...heard });
}
