/** What a customer's leases came to, by the label that each was ordered under. Who controls the inputs: the broker (how leases ended). */
import type { LeaseView } from "@xenoservers/protocol";

/** All leases of one label. */
export interface LabelTotals {
  /** Empty: they have none. */
  label: string;
  leases: number;
  /** Not over yet: what they cost is not in the sum. */
  running: number;
  /** Ended otherwise than by themselves with exit code 0, or by their customer's own word. */
  failed: number;
  billableFuel: bigint;
  billableMs: number;
  dueNanos: bigint;
}

const hasFailed = ({ reason, exitCode }: NonNullable<LeaseView["end"]>): boolean =>
  reason !== "customer-stop" && !(reason === "completed" && (exitCode ?? 0) === 0);

const nothing = (label: string): LabelTotals => ({
  ...{ label, leases: 0, running: 0, failed: 0, billableFuel: 0n, billableMs: 0, dueNanos: 0n },
});

/** Those that this party ordered and some server took, by label, dearest first. */
export async function totalsByLabel(leases: AsyncIterable<LeaseView>, party: string): Promise<LabelTotals[]> {
  const all = new Map<string, LabelTotals>();
  for await (const { customer, label, state, end } of leases) {
    if (customer !== party || (!end && state === "lapsed")) continue;
    const sum = all.get(label) ?? nothing(label);
    all.set(label, sum);
    sum.leases++;
    if (!end) sum.running++;
    else {
      if (hasFailed(end)) sum.failed++;
      sum.billableFuel += BigInt(end.billableFuel);
      sum.billableMs += end.billableMs;
      sum.dueNanos += BigInt(end.dueNanos);
    }
  }
  return [...all.values()].sort((a, b) => (a.dueNanos === b.dueNanos ? (a.label < b.label ? -1 : 1) : a.dueNanos < b.dueNanos ? 1 : -1));
}
