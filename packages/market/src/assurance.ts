/** How a job is protected against the owner (DESIGN section 4), what the customer is told about it, and the stake it needs. */

export const ASSURANCES = ["isolated"] as const;
export type Assurance = (typeof ASSURANCES)[number];

const TRUST_LINES: Record<Assurance, string> = {
  isolated: "Owner CAN read your data and CAN alter the result (accountable by signed claims and its record, not prevented)",
};

export function trustLine(assurance: Assurance): string {
  return TRUST_LINES[assurance];
}

/**
 * Stake that a lease locks: the harm that evidence could prove. Under `isolated` no evidence convicts a wrong result, so nothing is locked;
 * locking there would promise a defence that does not exist.
 */
export function stakeToLockNanos(assurance: Assurance, _worstCostNanos: bigint): bigint {
  switch (assurance) {
    case "isolated":
      return 0n;
  }
}
