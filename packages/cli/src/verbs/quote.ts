/** `xeno quote`: what a run would cost, and everything that `xeno run` does before it orders. */
import type { Scope } from "@xenoservers/market";
import { Market, given, home, moduleSizeOf, type Context, type PreparedRun, type Work } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { WorkInput } from "../input/verbs/run.ts";
import { workOf } from "../input/work.ts";
import { plannedHere } from "../output/deliver.ts";
import { quoteLines, type Shown } from "../output/quote-lines.ts";
import { preparationLine } from "../output/preparation-line.ts";
import { wereSeen } from "../output/seen-quotes.ts";
import { dim, printJson, say } from "../output/terminal.ts";
import { auditQuote } from "../proof/audit.ts";

export interface Prepared {
  market: Market;
  context: Context;
  run: PreparedRun;
  shown: Shown;
}

interface Ways {
  /** A key that may only look can ask what it would cost. */
  needs?: readonly Scope[];
  /** One line is enough where the same terms were shown before. */
  isBrief?: boolean;
  /** Where the market is full, its order waits for so long. */
  waitMs?: number | null;
}

export async function prepare(
  input: WorkInput,
  work: Work,
  { needs = ["spend"], isBrief = false, waitMs = null }: Ways = {},
): Promise<Prepared> {
  const { client, context } = await openClient(...needs);
  const market = Market.of(client);
  const run = await market.planned(plannedHere(work, input.out), given({ account: input.account, waitMs }));
  const { quotes, wanted } = run;
  const preparation = work.module && preparationLine(moduleSizeOf(work.module.input.module));
  const { shown, lines, worst, brief } = await quoteLines(client, quotes, wanted, context.currency);
  const audit = auditQuote(quotes[0], wanted, context.currency);
  if (!input.quiet && !input.json) {
    const all = [...lines, ...[preparation, audit].filter((line) => line !== null && line !== undefined)];
    const terms = all.filter((line) => line !== worst);
    const isKnown = await wereSeen(home.data, terms);
    say(...(isKnown && isBrief ? [brief] : all));
  }
  return { market, context, run, shown };
}

export async function quote(input: WorkInput): Promise<void> {
  const work = await workOf(input);
  if (!input.quiet && !input.json) for (const line of work.says) say(dim(line));
  const { shown } = await prepare(input, work, { needs: [] });
  if (input.json) printJson({ quote: shown });
}
