/** How a job is protected against the owner (DESIGN section 4), what the customer is told about it, and the stake it needs. */

export const ASSURANCES = ["isolated", "replicated", "deterministic-vm"] as const;
export type Assurance = (typeof ASSURANCES)[number];

const TRUST_LINES: Record<Assurance, string> = {
  isolated:
    "Owner CAN read your data and CAN alter the result; " +
    "running the job again (xeno verify --re-execute) shows it, and a referee takes the pay back",
  replicated:
    "Owner CAN read your data; " +
    "an altered result, shown by replicas that differ or by running the job again, costs the owner the stake locked for this lease",
  "deterministic-vm":
    "Owner CAN read your data; the machine runs instruction by instruction alike everywhere (slowly), " +
    "so an altered result, shown by replicas or by running it again, costs the owner the stake locked for this lease",
};

/** Whether two honest servers give the same result, so that it can be compared, judged and drawn for replicas. */
export const isDeterministic = (assurance: Assurance): boolean => assurance !== "isolated";

const MACHINE_TRUST_LINE =
  "Owner CAN read your data and CAN alter what the machine does; " +
  "nothing proves what an ordinary machine did (--assurance deterministic-vm does)";

/** `isAlike`: every honest server gives the same result. */
export function trustLine(assurance: Assurance, isAlike: boolean): string {
  return assurance === "isolated" && !isAlike ? MACHINE_TRUST_LINE : TRUST_LINES[assurance];
}

/**
 * Stake that a lease locks until nobody can dispute it any more: as much again as its worst cost where results can be proved wrong,
 * nothing under `isolated`, where a proved lie costs the pay and the record.
 */
export function stakeToLockNanos(assurance: Assurance, worstCostNanos: bigint): bigint {
  switch (assurance) {
    case "isolated":
      return 0n;
    case "replicated":
    case "deterministic-vm":
      return worstCostNanos;
  }
}
