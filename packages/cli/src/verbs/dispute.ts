/** `xeno dispute`: a doubted result before the market's referee. */
import { disputeResults, fetchBound, type TraceHere } from "@xenoservers/sdk";
import { keepReceipt } from "../output/deliver.ts";
import { openClient } from "../input/home.ts";
import { readKeptJob, rebuildJob } from "../input/kept-job.ts";
import { parseAmount } from "../input/parse.ts";
import { money, print, printJson, say, shortId } from "../output/ui.ts";

async function tracer(jobHash: string): Promise<TraceHere> {
  const { traceHere } = await import("../proof/re-execute.ts");
  const kept = await readKeptJob(jobHash);
  return (step) => traceHere(kept, step);
}

export async function dispute(id: string, { budget, json }: { budget: string; json?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  const { order } = await fetchBound(client, lease.id);
  const job = await rebuildJob(order.payload.jobHash);
  if (!json) say("the owner's pay is frozen; the referee runs the job again, or the part of it that goes wrong");
  const here = job.kind === "vm" ? undefined : await tracer(order.payload.jobHash);
  const { refereeLease, segment, verdicts } = await disputeResults(client, [lease.id], order.payload, job, parseAmount(budget, "--budget"), here);
  const verdict = verdicts.get(lease.id) ?? null;
  await keepReceipt(client, lease.id);
  if (json) return printJson({ lease: lease.id, refereeLease, segment, verdict });
  if (segment) say(`the referee ran segment ${segment.index} of ${segment.of}`);
  if (!verdict) {
    print("the referee came to the same result: the owner keeps its pay, and you paid for the referee's run");
    process.exitCode = 1;
    return;
  }
  print(`proved: ${verdict.why}`);
  print(`${money(verdict.refundNanos, context.currency)} came back, and ${money(verdict.slashedNanos, context.currency)} of the owner's stake`);
  say(`check it: xeno verify ${shortId(lease.id)} --re-execute`);
}
