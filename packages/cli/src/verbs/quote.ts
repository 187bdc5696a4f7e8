/** `xeno quote`: what a run would cost, and everything that `xeno run` does before it orders. */
import type { Scope } from "@xenoservers/market";
import { home, moduleSizeOf, quotesFor, settleWanted, type Context, type MarketClient, type Quoted, type Work } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { WorkInput } from "../input/verbs/run.ts";
import { workOf } from "../input/work.ts";
import { quoteLines, type Shown } from "../output/quote-lines.ts";
import { preparationLine } from "../output/preparation-line.ts";
import { wereSeen } from "../output/seen-quotes.ts";
import { dim, printJson, say } from "../output/terminal.ts";
import { auditQuote } from "../proof/audit.ts";

export interface Prepared {
  client: MarketClient;
  context: Context;
  work: Work;
  quotes: [Quoted, ...Quoted[]];
  shown: Shown;
}

interface Ways {
  /** A key that may only look can ask what it would cost. */
  needs?: readonly Scope[];
  /** One line is enough where the same terms were shown before. */
  isBrief?: boolean;
}

export async function prepare(input: WorkInput, work: Work, { needs = ["spend"], isBrief = false }: Ways = {}): Promise<Prepared> {
  const { client, context } = await openClient(...needs);
  const wanted = await settleWanted(client, work.wanted, input.account);
  const quotes = await quotesFor(client, wanted);
  const preparation = work.module && preparationLine(moduleSizeOf(work.module.input.module), quotes[0].quote.fuelMax);
  const { shown, lines, worst, brief } = await quoteLines(client, quotes, wanted, context.currency);
  const audit = auditQuote(quotes[0], wanted, context.currency);
  if (!input.quiet && !input.json) {
    const all = [...lines, ...[preparation, audit].filter((line) => line !== null && line !== undefined)];
    const terms = all.filter((line) => line !== worst);
    const isKnown = await wereSeen(home.data, terms);
    say(...(isKnown && isBrief ? [brief] : all));
  }
  return { client, context, work: { ...work, wanted }, quotes, shown };
}

export async function quote(input: WorkInput): Promise<void> {
  const work = await workOf(input);
  if (!input.quiet && !input.json) for (const line of work.says) say(dim(line));
  const { shown } = await prepare(input, work, { needs: [] });
  if (input.json) printJson({ quote: shown });
}
