/**
 * Audits that the log drew and that nobody has followed up. Lists look for them, and what follows them up, which is most of the SDK, is
 * not here.
 */
import type { LeaseView } from "@xenoservers/protocol";
import { type MarketClient, pagesOf } from "@xenoservers/sdk";
import { yellow } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

/** Whether a lease of this customer was drawn, and nobody has followed it up while there is time. */
export const isAuditDue = ({ customer, state, end }: LeaseView, party: string): boolean =>
  customer === party && state === "settled" && end?.audited === true;

/** All that are due, of so many leases, the newest (null: of all); a referee's own leases are nobody's to audit. */
export async function dueAudits(client: MarketClient, most: number | null): Promise<LeaseView[]> {
  const { referees } = await client.market();
  const due: LeaseView[] = [];
  for await (const { leases } of pagesOf(client, "leases", {}, most))
    due.push(...leases.filter((lease) => isAuditDue(lease, client.identity.party) && !referees.includes(lease.server)));
  return due;
}

/** Of leases that nobody waited for. */
export const dueLine = (leases: readonly LeaseView[]): string =>
  yellow(`${countOf(leases.length, "result")} drawn for an audit: have the referee run ${leases.length === 1 ? "it" : "them"}: xeno audit`);
