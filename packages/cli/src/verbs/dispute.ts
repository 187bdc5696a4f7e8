/** `xeno dispute`: a doubted result before the market's referee. */
import { disputeResults, fetchBound } from "@xenoservers/sdk";
import { keepReceipt } from "../deliver.ts";
import { openClient } from "../home.ts";
import { rebuildJob } from "../kept-job.ts";
import { parseAmount } from "../parse.ts";
import { money, print, printJson, say, shortId } from "../ui.ts";

export async function dispute(id: string, { budget, json }: { budget: string; json?: boolean }): Promise<void> {
  const { client, context } = await openClient();
  const lease = await client.read("lease", { params: { id } });
  const { order } = await fetchBound(client, lease.id);
  const job = await rebuildJob(order.payload.jobHash);
  if (!json) say("the owner's pay is frozen; the referee runs the job again");
  const { refereeLease, verdicts } = await disputeResults(client, [lease.id], order.payload, job, parseAmount(budget, "--budget"));
  const verdict = verdicts.get(lease.id) ?? null;
  await keepReceipt(client, lease.id);
  if (json) return printJson({ lease: lease.id, refereeLease, verdict });
  if (!verdict) {
    print("the referee came to the same result: the owner keeps its pay, and you paid for the referee's run");
    process.exitCode = 1;
    return;
  }
  print(`proved: ${verdict.why}`);
  print(`${money(verdict.refundNanos, context.currency)} came back, and ${money(verdict.slashedNanos, context.currency)} of the owner's stake`);
  say(`check it: xeno verify ${shortId(lease.id)} --re-execute`);
}
