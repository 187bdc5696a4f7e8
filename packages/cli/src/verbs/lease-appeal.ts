/**
 * `xeno lease appeal`: a referee has proved a lease of yours wrong; a second one that is drawn runs what the first one ran. The job comes
 * from your xenoserver's folder.
 */
import { type JobTracer, type KeptWork, Market, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AppealInput } from "../input/verbs/lease.ts";
import { assertLinux } from "../local/right-system.ts";
import { serverFolder } from "../local/server-folder.ts";
import { agree } from "../output/ask.ts";
import { refereeLines } from "../output/referee-lines.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, money } from "../output/ui.ts";
import { traceHere } from "../proof/trace-here.ts";

async function keptOf(folder: string, lease: string): Promise<KeptWork> {
  const { readKeptWork } = await import("@xenoservers/xenoserver");
  const kept = await readKeptWork(folder, lease);
  if (!kept) throw new UserError(`the xenoserver in ${folder} keeps nothing of lease ${shortId(lease)}; name its folder with --data`);
  return kept;
}

const traceSaid: JobTracer = (...asked) => {
  say("the first referee ran one segment: the job is run here for the state that it begins from");
  return traceHere(...asked);
};

export async function leaseAppeal({ lease: id, budget, data, yes, json }: AppealInput): Promise<void> {
  assertLinux("lease appeal");
  const { client, context } = await openClient("dispute", "spend", "read");
  const { lease, run, overturned, why } = await Market.of(client).appeal(id, {
    ...{ budget, trace: traceSaid },
    work: (of) => keptOf(serverFolder(data), of),
    async onTerms({ budgetNanos }) {
      const most = money(budgetNanos, context.currency);
      if (!json) say(`appeal   you pay the second referee's run, at most ${most}; if it bears you out, the stake is yours`);
      await agree("Have a second referee drawn?", yes || json);
    },
  });
  if (!overturned) process.exitCode = 1;
  if (json) return printJson({ lease, ...run, overturned, why });
  for (const line of refereeLines(run)) say(line);
  print(overturned ? "overturned: your stake is yours again, and your record is corrected" : `the verdict stands: ${why}`);
}
