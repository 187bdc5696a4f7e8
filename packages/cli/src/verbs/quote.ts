/** `xeno quote`: what a run would cost, and everything that `xeno run` does before it orders. */
import { RefusedError, moduleSizeOf, quoteFor, type MarketClient, type Quoted, type Wanted } from "@xenoservers/sdk";
import { accountOf } from "../input/account.ts";
import { openClient, type Context } from "../input/home.ts";
import type { WorkInput } from "../input/verbs/run.ts";
import { workOf, type Work } from "../input/work.ts";
import { showQuote, type Shown } from "../output/quote-lines.ts";
import { preparationLine } from "../output/preparation-line.ts";
import { dim, printJson, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { auditQuote } from "../proof/audit.ts";

/** In a quote; the broker draws among all that fit. */
const OWNERS_SHOWN_MAX = 16;

/** The cheapest offer of each owner that fits, cheapest first; the broker draws among them. Throws RefusedError `no_match`. */
async function quotesFor(client: MarketClient, wanted: Wanted): Promise<[Quoted, ...Quoted[]]> {
  const count = wanted.replicas ?? 1;
  const quotes: [Quoted, ...Quoted[]] = [await quoteFor(client, wanted)];
  while (count > 1 && quotes.length < OWNERS_SHOWN_MAX) {
    const others = quotes.map(({ offer }) => ({ key: "owner", op: "!=" as const, value: offer.owner }));
    const next = await quoteFor(client, { ...wanted, conditions: [...wanted.conditions, ...others] }).catch((error: unknown) => {
      if (error instanceof RefusedError && error.refusal.code === "no_match" && quotes.length >= count) return null;
      throw error;
    });
    if (!next) break;
    quotes.push(next);
  }
  return quotes;
}

/** A key that is bound to a label orders under it and no other. */
function labelOf({ label }: WorkInput, { leaseLabel }: Context): string {
  if (leaseLabel !== null && label !== null && label !== leaseLabel)
    throw new UserError(`this key acts on leases labelled '${leaseLabel}' alone; leave out --label`);
  return leaseLabel ?? label ?? "";
}

async function checkFee(client: MarketClient, { feeBasisPointsMax }: Wanted): Promise<void> {
  const { feeBasisPoints } = await client.market();
  if (feeBasisPointsMax !== undefined && feeBasisPoints > feeBasisPointsMax)
    throw new UserError(
      `the broker keeps ${feeBasisPoints / 100} % of what is paid, more than --max-fee ${feeBasisPointsMax / 100} %: nothing was ordered`,
    );
}

export interface Prepared {
  client: MarketClient;
  context: Context;
  work: Work;
  quotes: [Quoted, ...Quoted[]];
  shown: Shown;
}

export async function prepare(input: WorkInput, work: Work): Promise<Prepared> {
  const quiet = input.quiet || input.json;
  const { client, context } = await openClient("spend");
  work.wanted.label = labelOf(input, context);
  work.wanted.account = await accountOf(client, context, input.account);
  await checkFee(client, work.wanted);
  const quotes = await quotesFor(client, work.wanted);
  const preparation = work.module && preparationLine(moduleSizeOf(work.module.input.module), quotes[0].quote.fuelMax);
  const shown = await showQuote(client, quotes, work.wanted, context.currency, quiet);
  if (preparation !== null && !quiet) say(preparation);
  const audit = auditQuote(quotes[0], work.wanted, context.currency);
  if (audit !== null && !quiet) say(audit);
  return { client, context, work, quotes, shown };
}

export async function quote(input: WorkInput): Promise<void> {
  const work = await workOf(input);
  if (!input.quiet && !input.json) for (const line of work.says) say(dim(line));
  const { shown } = await prepare(input, work);
  if (input.json) printJson({ quote: shown });
}
