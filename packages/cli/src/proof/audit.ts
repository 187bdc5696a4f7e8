/** Audits as they are put to people: how likely one is and what it costs before the job, what came of it after. */
import { PPM, isAudited, recordPpm, runsAlike } from "@xenoservers/market";
import { type Audit, type Quoted, type Wanted, driverOf, isAuditedRun, shortId } from "@xenoservers/sdk";
import { dim, green, red, yellow } from "../output/terminal.ts";
import { countOf, money } from "../output/ui.ts";

const PPM_WIDE = BigInt(PPM);

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
