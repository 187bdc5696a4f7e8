/**
 * `xeno dispute`: a doubted result before the market's referee. What it takes is said first, and nothing is frozen before a referee can
 * judge.
 */
import { type DisputeTerms, Market, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { DisputeInput } from "../input/verbs/lease.ts";
import { agree } from "../output/ask.ts";
import { refereeLines } from "../output/referee-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { money } from "../output/ui.ts";
import { traceHere } from "../proof/trace-here.ts";

/** Who may judge, what is put down, and when it is lost. */
function disputeLines({ way, referee, referees, leases }: DisputeTerms, currency: string): string[] {
  const deposit = leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const what = way === "parts" ? "the part of the job in which states differ" : "the whole job";
  const who = referees === 1 ? shortId(referee.offer.server) : `one of ${referees}, drawn by the lease's settlement,`;
  const judge = `referee  ${who} runs ${what}; that costs at most ${money(referee.quote.holdNanos, currency)}`;
  const shown = way === "parts" ? " or the server shows no states" : "";
  const back = `it comes back where the result was wrong${shown}, or no referee is left; else the owner gets it`;
  return [
    judge,
    `deposit  ${money(deposit, currency)}: ${back}`,
    "outcome  a wrong result costs its owner the pay, which comes back at once, and the locked stake, which comes when no appeal can",
  ];
}

export async function dispute({ lease: id, budget, yes, json }: DisputeInput): Promise<void> {
  const { client, context } = await openClient("dispute", "spend", "read");
  const { lease, refereeLease, run, segment, verdict } = await Market.of(client).dispute(id, {
    ...{ budget, trace: traceHere },
    async onTerms(terms) {
      if (!json) for (const line of disputeLines(terms, context.currency)) say(line);
      await agree("Put the deposit down and ask the referee?", yes || json);
    },
  });
  if (!verdict) process.exitCode = 1;
  if (json) return printJson({ lease, refereeLease, run, segment, verdict });
  if (run) for (const line of refereeLines(run)) say(line);
  if (segment) say(`the referee ran segment ${segment.index} of ${segment.of}`);
  if (!run) return print("nothing was left to judge: the doubt is over (xeno lease show)");
  if (!verdict) return print("the referee came to the same result: the owner keeps its pay, and you paid for the referee's run");
  print(`proved: ${verdict.why}`);
  const stake = `${money(verdict.slashedNanos, context.currency)} of the owner's stake is locked for you until it may not appeal any more`;
  print(`${money(verdict.refundNanos, context.currency)} came back; ${stake}`);
  say(`check it: xeno verify ${shortId(lease)} --re-execute`);
}
