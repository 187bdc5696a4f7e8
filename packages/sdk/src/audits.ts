/**
 * Audits: after the owner has signed its result, the log's round decides whether the referee runs the job too. The settlement says so; the
 * customer's client follows it up. The rate leaves a cheat no expected gain (market/src/audit.ts). Who controls the inputs: the broker
 * (what it says was drawn; the settlement in a receipt proves it).
 */
import { drawPpm } from "@xenoservers/market";
import type { LeaseView, Payload } from "@xenoservers/protocol";
import type { BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { disputeResults } from "./dispute.ts";
import { KeptError, RefusedError } from "./errors.ts";
import { unlessOff } from "./calling-off.ts";
import { fetchBound } from "./purchase-order.ts";

/** What became of the draw whether a result is audited. */
export interface Audit {
  /** How likely it was, in parts per million. */
  ratePpm: number;
  drawn: boolean;
  /** Why a drawn audit was not done; null where it was, or nothing was drawn. */
  undone: string | null;
  /** Of a drawn audit: what the referee found; null when the result was right. Amounts are nanos. */
  wrong: { why: string; refundNanos: string; slashedNanos: string } | null;
}

/** What the broker says of the draw; null where the lease is not over, or its result cannot be audited. */
export function drawnAudit({ auditPpm, stakeNanos, end }: LeaseView): Audit | null {
  if (!end || end.audited === null) return null;
  return { ratePpm: drawPpm(auditPpm, BigInt(end.dueNanos), BigInt(stakeNanos)), drawn: end.audited, undone: null, wrong: null };
}

interface Drawn {
  order: Payload<"order">;
  job: BuiltWork;
  budgetNanos: bigint;
  signal?: AbortSignal;
}

/** Has the referee run the job of a drawn lease. Where that cannot be done now, the audit says why. */
export async function followUp(
  client: MarketClient,
  drawn: Audit,
  lease: string,
  { order, job, budgetNanos, signal }: Drawn,
): Promise<Audit> {
  try {
    const { verdicts } = await disputeResults(client, [lease], order, job, budgetNanos, undefined, signal);
    const verdict = verdicts.get(lease) ?? null;
    const { why = "", refundNanos = "0", slashedNanos = "0" } = verdict ?? {};
    return { ...drawn, wrong: verdict && { why, refundNanos, slashedNanos } };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    const { why = error.refusal.code } = error.refusal.facts;
    return { ...drawn, undone: String(why) };
  }
}

interface DrawnOrder {
  order: Payload<"order">;
  /** What was ordered; throws KeptError where it is not kept. */
  job(): Promise<BuiltWork>;
  signal?: AbortSignal | undefined;
}

/** The same for the budget of its order. */
export async function followUpOrder(
  client: MarketClient,
  drawn: Audit,
  lease: string,
  { order, job: kept, signal }: DrawnOrder,
): Promise<Audit> {
  try {
    const job = await unlessOff(signal, kept());
    return await followUp(client, drawn, lease, { order, job, budgetNanos: BigInt(order.budgetNanos), ...(signal ? { signal } : {}) });
  } catch (error) {
    if (!(error instanceof KeptError)) throw error;
    return { ...drawn, undone: error.message };
  }
}

/** The same of a lease of any age, by what is kept of its job. Null where its result cannot be audited. */
export async function auditLease(
  client: MarketClient,
  view: LeaseView,
  keptJob: (jobHash: string) => Promise<BuiltWork>,
  signal?: AbortSignal,
): Promise<Audit | null> {
  const drawn = drawnAudit(view);
  if (drawn === null || !drawn.drawn) return drawn;
  const { payload: order } = (await unlessOff(signal, fetchBound(client, view.id))).order;
  return followUpOrder(client, drawn, view.id, { order, job: () => keptJob(order.jobHash), ...(signal ? { signal } : {}) });
}
