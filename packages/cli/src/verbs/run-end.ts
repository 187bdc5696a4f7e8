/** What a run came to: exit code, bill, receipt, and what to do where something is not right. */
import { runsAlike } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { drawnAudit, home, shortId, type Audit, type Job, type JobResult } from "@xenoservers/sdk";
import type { RunInput } from "../input/verbs/run.ts";
import type { Came } from "../output/came.ts";
import { noteLease } from "../output/completion-words.ts";
import { exitCodeWith } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { EXIT } from "../output/exit.ts";
import { endLine, nextCommand } from "../output/lease-lines.ts";
import { dim, printJson, red, say } from "../output/terminal.ts";
import { linuxProblem } from "../local/right-system.ts";
import { countOf } from "../output/ui.ts";
import { auditLine } from "../proof/audit.ts";
import { stoppedLines } from "../proof/why-stopped.ts";
import type { Prepared } from "./quote.ts";

/** What was printed, piece by piece. */
export type Streams = Record<"stdout" | "stderr", Uint8Array[]>;

interface Ended extends Came {
  printed: Streams;
}

/** What the log drew, followed up at once unless that is left to later. */
async function audited(job: Job, lease: LeaseView, { noAudit }: RunInput): Promise<Audit | null> {
  const drawn = drawnAudit(lease);
  if (!drawn?.drawn) return drawn;
  return noAudit ? { ...drawn, undone: "it was left to later" } : job.audit();
}

export async function concludeRun(
  { market, context, run }: Prepared,
  job: Job,
  input: RunInput,
  { lease, result, printed }: Ended,
): Promise<void> {
  const quiet = input.quiet || input.json;
  const isDelivered = (result?.delivered ?? null) !== null;
  await noteLease(home.data, lease.id, false);
  process.exitCode = exitCodeWith(lease, isDelivered);
  const audit = await audited(job, lease, input);
  if (audit?.wrong) process.exitCode = EXIT.xeno;
  const detail = result?.detail ?? "";
  if (input.json)
    return printJson({
      lease: lease.id,
      reused: false,
      end: lease.end,
      detail,
      audit,
      delivered: result?.delivered ?? null,
      ...encodedStreams(printed),
    });
  if (!quiet || lease.end?.reason !== "completed") {
    say(endLine(lease, context.currency), ...(await stoppedLines(market.client, lease)));
    if (detail !== "") say(`         ${detail}`);
  }
  if (lease.end?.result && !isDelivered) say(red(`         its output did not come as the server signed it; ${nextCommand(lease)}`));
  if (quiet) return;
  const reExecutes = runsAlike(run.work.driver, run.wanted.assurance);
  showMore(lease, result, input, { audit, currency: context.currency, reExecutes });
}

interface More {
  audit: Audit | null;
  currency: string;
  reExecutes: boolean;
}

function showMore({ id }: LeaseView, result: JobResult | null, { out }: RunInput, { audit, currency, reExecutes }: More): void {
  const lease = shortId(id);
  const files = out === null ? (result?.files.length ?? 0) : 0;
  if (audit) say(auditLine(audit, id, currency));
  for (const { check, says, status } of result?.verification.lines ?? [])
    if (status === "failed") say(red(`         the receipt does not hold: ${check}: ${says}`));
  if (files > 0) say(`         ${countOf(files, "file")} in /out at the server: xeno fetch ${lease} --out DIR`);
  const again = reExecutes && linuxProblem("") === null ? `   run it again here and compare: xeno verify ${lease} --re-execute` : "";
  say(dim(`         check it: xeno verify ${lease}${again}`));
}
