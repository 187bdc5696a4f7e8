/**
 * Audits: after the owner has signed its result, the log's round decides whether the referee runs the job too. The settlement says so; the
 * customer's client follows it up. The rate leaves a cheat no expected gain (market/src/audit.ts).
 */
import { PPM, drawPpm, isAudited, recordPpm, runsAlike } from "@xenoservers/market";
import type { LeaseView, Payload } from "@xenoservers/protocol";
import {
  type BuiltWork,
  type MarketClient,
  type Quoted,
  RefusedError,
  type Wanted,
  disputeResults,
  driverOf,
  isAuditedRun,
  shortId,
} from "@xenoservers/sdk";
import { dim, green, red, yellow } from "../output/terminal.ts";
import { countOf, money } from "../output/ui.ts";

const PPM_WIDE = BigInt(PPM);

export interface Audit {
  /** In parts per million. */
  ratePpm: number;
  drawn: boolean;
  /** Why a drawn audit was not done; null where it was, or nothing was drawn. */
  undone: string | null;
  /** Of a drawn audit: what the referee found; null when the result was right. */
  wrong: { why: string; refundNanos: string; slashedNanos: string } | null;
}

/** What the broker says of the draw; null where the lease is not over, or its result cannot be audited. */
export function drawnAudit({ auditPpm, stakeNanos, end }: LeaseView): Audit | null {
  if (!end || end.audited === null) return null;
  return { ratePpm: drawPpm(auditPpm, BigInt(end.dueNanos), BigInt(stakeNanos)), drawn: end.audited, undone: null, wrong: null };
}

/** Has the referee run the job of a drawn lease. Where that cannot be done now, the audit says why. */
export async function followUp(
  client: MarketClient,
  drawn: Audit,
  lease: string,
  { order, job, budgetNanos }: { order: Payload<"order">; job: BuiltWork; budgetNanos: bigint },
): Promise<Audit> {
  try {
    const { verdicts } = await disputeResults(client, [lease], order, job, budgetNanos);
    const verdict = verdicts.get(lease) ?? null;
    const { why = "", refundNanos = "0", slashedNanos = "0" } = verdict ?? {};
    return { ...drawn, wrong: verdict && { why, refundNanos, slashedNanos } };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    const { why = error.refusal.code } = error.refusal.facts;
    return { ...drawn, undone: String(why) };
  }
}

const percent = (ppm: number): string => `${Number(((ppm * 100) / PPM).toFixed(2))} %`;

/** Before the job: how likely it is, what is held for it, what it costs on average. The referee is taken to cost as much as this server. */
export function auditQuote({ offer, quote }: Quoted, wanted: Wanted, currency: string): string | null {
  if (!isAuditedRun(wanted)) {
    const could = isAudited({ ...wanted, driver: driverOf(wanted), assurance: "replicated", segment: false });
    const isBare = wanted.assurance === "isolated" && runsAlike(driverOf(wanted), wanted.assurance) && could;
    return isBare ? "audit    none: under 'isolated' no stake is locked that a lie could cost; --audit is for servers with stake" : null;
  }
  const rate = recordPpm(offer.record.audited);
  const expected = (quote.auditReserveNanos * BigInt(rate)) / PPM_WIDE;
  const runs = `${countOf(offer.record.audited, "right audit")} so far`;
  const more = "more where the price comes near the stake";
  const drawn = `drawn with a chance of ${percent(rate)} (${runs}) after the owner has signed, ${more}`;
  const held = `reserve ${money(quote.auditReserveNanos, currency)}, expected cost ${money(expected, currency)} at most`;
  return `audit    ${drawn}; ${held}; a wrong result pays for it with the locked stake`;
}

export function auditLine({ ratePpm, drawn, undone, wrong }: Audit, lease: string, currency: string): string {
  const chance = percent(ratePpm);
  if (!drawn) return dim(`audit    not drawn (${chance})`);
  if (undone !== null) return yellow(`audit    drawn (${chance}), and not done: ${undone}; while it is due: xeno audit ${shortId(lease)}`);
  if (!wrong) return green(`audit    drawn (${chance}): the referee came to the same result`);
  const back = `${money(wrong.refundNanos, currency)} and ${money(wrong.slashedNanos, currency)} of stake is locked for you`;
  return red(`audit    drawn (${chance}): the output above is WRONG: ${wrong.why}; ${back}`);
}
