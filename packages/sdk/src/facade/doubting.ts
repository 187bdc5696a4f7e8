/**
 * What a customer does about a result that it doubts, or that was drawn for an audit: both need the job as it was sent. Who controls the
 * inputs: the program that calls; the broker (leases, terms, verdicts).
 */
import { DRIVERS } from "@xenoservers/market";
import type { LeaseView, Payload } from "@xenoservers/protocol";
import { assertAuditDue } from "../audit-due.ts";
import { auditLease, type Audit } from "../audits.ts";
import type { MarketClient } from "../client.ts";
import { disputeResults, type Judged, type TraceHere } from "../dispute.ts";
import { disputeTerms, type DisputeTerms } from "../dispute-terms.ts";
import type { RefereeRun } from "../dispute-run.ts";
import { InputError } from "../errors.ts";
import { fetchBound } from "../purchase-order.ts";
import { budgetIn } from "../words.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { Here } from "./here.ts";
import { leaseAsItIs } from "./lease-acts.ts";

/** What every call that has a referee judge takes. */
export interface JudgingOptions<Terms> {
  /** The most that a referee's run may cost: "0.50", or nanos; absent: what the job itself was ordered for. */
  budget?: string | bigint;
  /** Told what it takes before anything is put down or ordered; throws, or rejects, where that is not wanted. */
  onTerms?(terms: Terms): void | Promise<void>;
  signal?: AbortSignal;
}

/** How a result is disputed; called off after the deposit was put down it fails with `left_open`, and the next call goes on from there. */
export type DisputeOptions = JudgingOptions<DisputeTerms>;

/** What came of a dispute. */
export interface Dispute {
  lease: string;
  /** The referee's lease; "" where nothing was left to judge. */
  refereeLease: string;
  /** Who judged, in which round, and who was passed over; null where nothing was left to judge. */
  run: RefereeRun | null;
  /** Where one part of the job was enough. */
  segment: Judged["segment"];
  /** The referee's, checked: the result was wrong. Null where it came to the same. */
  verdict: Payload<"verdict"> | null;
}

/** One audit, and what came of it. */
export interface Audited {
  lease: string;
  /** Null where its result cannot be audited. */
  audit: Audit | null;
}

export interface Doubting {
  client: MarketClient;
  here: Pick<Here, "keptJob" | "keepReceipt">;
}

/** Traces the job on this machine, where what is kept of it can be run here. */
export type TracerOf = (jobHash: string) => Promise<TraceHere>;

/** What was judged is judged, and is not asked for twice: a receipt that cannot be had or kept now is fetched when it is looked for. */
async function keepReceipt({ client, here }: Doubting, lease: string): Promise<void> {
  await here.keepReceipt(client, lease).catch(() => {});
}

/** Programs in JavaScript hand in anything; said before anything is read or signed. Throws InputError. */
export function assertJudging(id: unknown, options: object): void {
  const { budget, onTerms, signal }: { [option in keyof JudgingOptions<never>]?: unknown } = options;
  if (typeof id !== "string") throw new InputError("lease must be a lease's id, or its first letters");
  if (budget !== undefined) budgetIn(budget);
  if (onTerms !== undefined && typeof onTerms !== "function") throw new InputError("onTerms must be a function");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InputError("signal must be an AbortSignal");
}

/** By the first letters of the lease's id. Throws RefusedError, KeptError, LeftOpenError. */
export async function disputeLease(
  { client, here }: Doubting,
  id: string,
  { budget, onTerms, signal }: DisputeOptions,
  tracerOf: TracerOf | null,
): Promise<Dispute> {
  assertJudging(id, { budget, onTerms, signal });
  assertWanted(signal);
  const lease = await leaseAsItIs(client, id, signal);
  const { payload: order } = (await unlessOff(signal, fetchBound(client, lease.id))).order;
  const budgetNanos = budgetIn(budget ?? BigInt(order.budgetNanos));
  const job = await unlessOff(signal, here.keptJob(order.jobHash));
  const traces = tracerOf !== null && DRIVERS[job.driver].can.breakpoints ? await tracerOf(order.jobHash) : undefined;
  if (onTerms) await onTerms(await unlessOff(signal, disputeTerms(client, [lease.id], order, job, budgetNanos, traces !== undefined)));
  const { refereeLease, runs, segment, verdicts } = await disputeResults(client, [lease.id], order, job, budgetNanos, traces, signal);
  await keepReceipt({ client, here }, lease.id);
  return { lease: lease.id, refereeLease, run: runs.get(lease.id) ?? null, segment, verdict: verdicts.get(lease.id) ?? null };
}

/** Has the referee run what was drawn; where that cannot be done, the audit says why. Throws InputError where none is due. */
export async function auditDue({ client, here }: Doubting, lease: string | LeaseView, signal: AbortSignal | undefined): Promise<Audited> {
  assertWanted(signal);
  const view = typeof lease === "string" ? await leaseAsItIs(client, lease, signal) : lease;
  assertAuditDue(view, client.identity.party);
  const audit = await auditLease(client, view, (jobHash) => here.keptJob(jobHash), signal);
  if (audit && audit.undone === null) await keepReceipt({ client, here }, view.id);
  return { lease: view.id, audit };
}
