/**
 * Usage claims: cumulative, hash-chained, signed by the server. A claim is unproved; it can only ever lower what the broker's own clock allows.
 * Who controls the inputs: the owner (every field of a claim).
 */

export interface ClaimPosition {
  id: string;
  incarnation: number;
  sequence: number;
  usedMs: number;
  egressBytes: number;
}

export interface Claim extends ClaimPosition {
  /** Id of the last claim, or of the opening for the first one. */
  previous: string;
}

export type ClaimRefusal = "claim_out_of_order" | "claim_decreasing" | "claim_chain_broken" | "claim_too_early";

/**
 * Checks one claim against the last receipted one. A server that lost its disk raises `incarnation` and goes on from the last logged claim, so
 * an honest crash never looks like a contradiction (PROTOCOL section 4). `elapsedMs` is broker time since the opening: more than that (and a
 * second for clocks) cannot have been used.
 */
export function checkClaim(last: ClaimPosition, claim: Claim, elapsedMs: number): ClaimRefusal | null {
  const sameIncarnation = claim.incarnation === last.incarnation && claim.sequence === last.sequence + 1;
  const newIncarnation = claim.incarnation > last.incarnation && claim.sequence === last.sequence + 1;
  if (!sameIncarnation && !newIncarnation) return "claim_out_of_order";
  if (claim.previous !== last.id) return "claim_chain_broken";
  if (claim.usedMs < last.usedMs || claim.egressBytes < last.egressBytes) return "claim_decreasing";
  if (claim.usedMs > elapsedMs + 1_000) return "claim_too_early";
  return null;
}
