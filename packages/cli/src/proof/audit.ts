/**
 * `--audit`: after the owner has signed its result, chance decides whether the referee runs the job too. The owner cannot know; the rate
 * leaves a cheat no expected gain (market/src/audit.ts).
 */
import { randomInt } from "node:crypto";
import { auditRate, stakeToLockNanos } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { disputeResults, type BoundOrder, type BuiltWork, type MarketClient, type Quoted, type Wanted } from "@xenoservers/sdk";
import { green, money, red, dim } from "../output/ui.ts";

const DRAWS = 2 ** 32;

export interface Audit {
  rate: number;
  drawn: boolean;
  /** Of a drawn audit: what the referee found; null when the result was right. */
  wrong: { why: string; refundNanos: string; slashedNanos: string } | null;
}

/** Only results that follow from the job alone can be audited; others end without one. */
export async function auditResult(
  client: MarketClient,
  { order, po }: BoundOrder,
  lease: LeaseView,
  job: BuiltWork,
  wanted: Wanted,
): Promise<Audit | null> {
  if (!lease.end || lease.end.reason !== "completed") return null;
  const { offers } = await client.read("offers", { query: { q: `server=${lease.server}` } });
  const record = offers[0]?.record;
  const rate = auditRate(record ?? NOBODY, BigInt(lease.end.dueNanos), BigInt(po.payload.stakeNanos));
  if (randomInt(DRAWS - 1) / DRAWS >= rate) return { rate, drawn: false, wrong: null };
  const { verdicts } = await disputeResults(client, [lease.id], order.payload, job, wanted.budgetNanos);
  const verdict = verdicts.get(lease.id) ?? null;
  return {
    rate,
    drawn: true,
    wrong: verdict && { why: verdict.why, refundNanos: verdict.refundNanos, slashedNanos: verdict.slashedNanos },
  };
}

const NOBODY = { leases: 0, completed: 0, ownerFailures: 0, convicted: 0, audited: 0 };

/** Before the job: how likely it is, and what it costs at most and on average. The referee is taken to cost as much as this server. */
export function auditQuote({ offer, quote }: Quoted, currency: string): string {
  const { holdNanos } = quote;
  const rate = auditRate(offer.record, holdNanos, stakeToLockNanos("replicated", holdNanos));
  const expected = (holdNanos * BigInt(Math.round(rate * 1_000))) / 1_000n;
  const runs = `${offer.record.audited} right audit${offer.record.audited === 1 ? "" : "s"} so far`;
  const drawn = `drawn with a chance of ${(rate * 100).toFixed(0)} % (${runs}) after the owner has signed`;
  const costs = `the referee's run costs at most about ${money(holdNanos, currency)}, ${money(expected, currency)} on average`;
  return `audit    ${drawn}; ${costs}; a wrong result pays for it with the locked stake`;
}

export function auditLine({ rate, drawn, wrong }: Audit, currency: string): string {
  const chance = `${(rate * 100).toFixed(0)} %`;
  if (!drawn) return dim(`audit    not drawn (${chance})`);
  if (!wrong) return green(`audit    drawn (${chance}): the referee came to the same result`);
  const back = `${money(wrong.refundNanos, currency)} and ${money(wrong.slashedNanos, currency)} of stake is locked for you`;
  return red(`audit    drawn (${chance}): the output above is WRONG: ${wrong.why}; ${back}`);
}
