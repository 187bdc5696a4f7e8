/**
 * `xeno audit`: the audits that the log drew for one's leases and that nobody has followed up: the referee runs each job again. A right
 * result improves its owner's record, a wrong one costs its stake.
 */
import type { LeaseView } from "@xenoservers/protocol";
import { type MarketClient, fetchBound, keepReceipt, rebuildJob, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AuditInput } from "../input/verbs/lease.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { UserError } from "../output/ui.ts";
import { dueAudits, isAuditDue } from "../proof/audit-due.ts";
import { auditLine, drawnAudit, followUp, type Audit } from "../proof/audit.ts";

async function namedLeases(client: MarketClient, ids: readonly string[]): Promise<LeaseView[]> {
  const views = await Promise.all(ids.map((id) => client.read("lease", { params: { id } })));
  const other = views.find((view) => !isAuditDue(view, client.identity.party));
  if (other) throw new UserError(`no audit is due of ${shortId(other.id)}: ${whyNot(other)}`);
  return views;
}

function whyNot({ state, end }: LeaseView): string {
  if (!end) return `it is ${state}`;
  if (end.audited === null) return "its result cannot be audited";
  return end.audited ? `it is ${state}` : "it was not drawn; xeno dispute asks the referee all the same";
}

async function auditOne(client: MarketClient, view: LeaseView): Promise<Audit | null> {
  const drawn = drawnAudit(view);
  if (drawn === null) return null;
  const { order } = await fetchBound(client, view.id);
  const { jobHash, budgetNanos } = order.payload;
  try {
    const job = await rebuildJob(jobHash);
    return await followUp(client, drawn, view.id, { order: order.payload, job, budgetNanos: BigInt(budgetNanos) });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { ...drawn, undone: error.message };
  }
}

export async function audit({ leases: ids, json }: AuditInput): Promise<void> {
  const { client, context } = await openClient("dispute", "spend", "read");
  const due = ids.length === 0 ? await dueAudits(client, null) : await namedLeases(client, ids);
  if (due.length === 0 && !json) return say("no audit is due");
  const audits: { lease: string; audit: Audit | null }[] = [];
  for (const view of due) {
    const done = await auditOne(client, view);
    audits.push({ lease: view.id, audit: done });
    if (done && done.undone === null) await keepReceipt(client, view.id);
    if (done?.wrong || done?.undone) process.exitCode = EXIT.xeno;
    if (done && !json) print(`${shortId(view.id)}  ${auditLine(done, view.id, context.currency)}`);
  }
  if (json) printJson({ audits });
}
