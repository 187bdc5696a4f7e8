/**
 * Replicas: one job on servers of several owners. The broker draws them, so that no customer and no owner chooses; each commits to its
 * result before any shows one, so that none can sign what another found (PROTOCOL section 9).
 */
import type { Candidate } from "./matching.ts";

export const REPLICAS_MAX = 7;

/** How often the broker looks whether all replicas of an order have committed or ended. */
export const REVEAL_CHECK_MS = 1_000;

/** What one replica may cost, of a budget for all of them and for the referee's run where there may be one. */
export const replicaBudget = (budgetNanos: bigint, replicas: number, isAudited: boolean): bigint =>
  budgetNanos / BigInt(replicas + (isAudited ? 1 : 0));

/**
 * One server each of `count` different owners: each owner's cheapest (the first of it), owners by chance. Null where there are fewer
 * owners. `draw(i)` is the i-th number of a source that nobody but the broker knows, in [0, 1).
 */
export function drawReplicas(byPrice: readonly Candidate[], count: number, draw: (i: number) => number): Candidate[] | null {
  const left = [...new Map([...byPrice].reverse().map((candidate) => [candidate.owner, candidate])).values()].reverse();
  if (left.length < count) return null;
  return Array.from({ length: count }, (_, i) => left.splice(Math.floor(draw(i) * left.length), 1)[0]!);
}
