/**
 * `xeno dispute`: a doubted result before the market's referee. What it takes is said first, and nothing is frozen before a referee can
 * judge.
 */
import { DRIVERS } from "@xenoservers/market";
import { disputeResults, disputeTerms, fetchBound, type DisputeTerms, type TraceHere } from "@xenoservers/sdk";
import { openClient } from "../input/home.ts";
import { readKeptJob, rebuildJob } from "../input/kept-job.ts";
import type { DisputeInput } from "../input/verbs/lease.ts";
import { agree } from "../output/ask.ts";
import { keepReceipt } from "../output/deliver.ts";
import { money, print, printJson, say, shortId } from "../output/ui.ts";

async function tracer(jobHash: string): Promise<TraceHere> {
  const { traceHere } = await import("../proof/re-execute.ts");
  const kept = await readKeptJob(jobHash);
  return (step) => traceHere(kept, step);
}

/** Who judges, what is put down, and when it is lost. */
function disputeLines({ way, referee, leases }: DisputeTerms, currency: string): string[] {
  const deposit = leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const what = way === "parts" ? "the part of the job in which states differ" : "the whole job";
  const judge = `referee  ${shortId(referee.offer.server)} runs ${what}; that costs at most ${money(referee.quote.holdNanos, currency)}`;
  const back =
    way === "parts"
      ? "it comes back where the result was wrong or the server shows no states; else the owner gets it"
      : "it comes back with the referee's word, whatever that is; the owner's pay is frozen until then";
  return [
    judge,
    `deposit  ${money(deposit, currency)}: ${back}`,
    "outcome  a wrong result costs its owner the pay and the locked stake, which come to you",
  ];
}

export async function dispute({ lease: id, budget, yes, json }: DisputeInput): Promise<void> {
  const { client, context } = await openClient("dispute", "spend", "read");
  const lease = await client.read("lease", { params: { id } });
  const { order } = await fetchBound(client, lease.id);
  const job = await rebuildJob(order.payload.jobHash);
  const here = DRIVERS[job.driver].can.breakpoints ? await tracer(order.payload.jobHash) : undefined;
  const terms = await disputeTerms(client, [lease.id], order.payload, job, budget, here !== undefined);
  if (!json) for (const line of disputeLines(terms, context.currency)) say(line);
  await agree("Put the deposit down and ask the referee?", yes || json);
  const { refereeLease, segment, verdicts } = await disputeResults(client, [lease.id], order.payload, job, budget, here);
  const verdict = verdicts.get(lease.id) ?? null;
  await keepReceipt(client, lease.id);
  if (!verdict) process.exitCode = 1;
  if (json) return printJson({ lease: lease.id, refereeLease, segment, verdict });
  if (segment) say(`the referee ran segment ${segment.index} of ${segment.of}`);
  if (!verdict) return print("the referee came to the same result: the owner keeps its pay, and you paid for the referee's run");
  print(`proved: ${verdict.why}`);
  print(
    `${money(verdict.refundNanos, context.currency)} came back, and ${money(verdict.slashedNanos, context.currency)} of the owner's stake`,
  );
  say(`check it: xeno verify ${shortId(lease.id)} --re-execute`);
}
