/**
 * Audits that the log drew and that nobody has followed up. Lists look for them; what follows them up (audits.ts), which is most of the
 * SDK, is not here. Who controls the inputs: the broker.
 */
import type { LeaseView } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { InputError } from "./errors.ts";
import { pagesOf } from "./lists.ts";
import { shortId } from "./words.ts";

/** Whether a lease of this customer was drawn, and nobody has followed it up while there is time. */
export const isAuditDue = ({ customer, state, end }: LeaseView, party: string): boolean =>
  customer === party && state === "settled" && end?.audited === true;

/** All that are due, of so many leases, the newest (null: of all); a referee's own leases are nobody's to audit. */
export async function dueAudits(client: MarketClient, most: number | null): Promise<LeaseView[]> {
  const drawn: LeaseView[] = [];
  for await (const { leases } of pagesOf(client, "leases", {}, most))
    drawn.push(...leases.filter((lease) => isAuditDue(lease, client.identity.party)));
  // who the referees are is asked where it decides something
  if (drawn.length === 0) return drawn;
  const { referees } = await client.market();
  return drawn.filter(({ server }) => !referees.includes(server));
}

/** What somebody has begun to follow up, and left open: it is gone on with. */
const isLeftOpen = ({ customer, state, trace, end }: LeaseView, party: string): boolean =>
  customer === party && state === "disputed" && trace !== null && end?.audited === true;

/** Throws InputError, with why, where no audit of the lease is due, nor left open. */
export function assertAuditDue(view: LeaseView, party: string): void {
  if (!isAuditDue(view, party) && !isLeftOpen(view, party)) throw new InputError(`no audit is due of ${shortId(view.id)}: ${whyNot(view)}`);
}

function whyNot({ state, end }: LeaseView): string {
  if (!end) return `it is ${state}`;
  if (end.audited === null) return "its result cannot be audited";
  return end.audited ? `it is ${state}` : "it was not drawn; xeno dispute asks the referee all the same";
}
