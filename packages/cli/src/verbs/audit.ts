/**
 * `xeno audit`: the audits that the log drew for one's leases and that nobody has followed up: the referee runs each job again. A right
 * result improves its owner's record, a wrong one costs its stake.
 */
import type { LeaseView } from "@xenoservers/protocol";
import { type Audited, Market, assertAuditDue, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AuditInput } from "../input/verbs/lease.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { auditLine } from "../proof/audit.ts";

/** None is followed up where another is not due. */
async function namedLeases(market: Market, ids: readonly string[]): Promise<LeaseView[]> {
  const views = await Promise.all(ids.map((id) => market.lease(id)));
  for (const view of views) assertAuditDue(view, market.client.identity.party);
  return views;
}

export async function audit({ leases: ids, json }: AuditInput): Promise<void> {
  const { client, context } = await openClient("dispute", "spend", "read");
  const market = Market.of(client);
  const due = ids.length === 0 ? await market.audits() : await namedLeases(market, ids);
  if (due.length === 0 && !json) return say("no audit is due");
  const audits: Audited[] = [];
  for (const view of due) {
    const followed = await market.audit(view);
    const { audit: done } = followed;
    audits.push(followed);
    if (done?.wrong || done?.undone) process.exitCode = EXIT.xeno;
    if (done && !json) print(`${shortId(view.id)}  ${auditLine(done, view.id, context.currency)}`);
  }
  if (json) printJson({ audits });
}
