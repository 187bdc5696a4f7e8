/** What an owner has earned by these leases. */
import type { LeaseView } from "@xenoservers/protocol";

/** By settlements that stand or can still be objected to. */
export function incomeOf(leases: readonly LeaseView[]): { earned: bigint; open: bigint } {
  const sum = (chosen: readonly LeaseView[]): bigint => chosen.reduce((all, { end }) => all + BigInt(end?.ownerNanos ?? "0"), 0n);
  return { earned: sum(leases.filter(({ state }) => state === "final")), open: sum(leases.filter(({ state }) => state === "settled")) };
}
