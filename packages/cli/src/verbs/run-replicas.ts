/**
 * `xeno run --replicas K`: one order for the same job on servers of K different owners. Nothing is shown before their signed results agree,
 * or the market's referee has decided.
 */
import {
  type BuiltWork,
  type DisputeTerms,
  type MarketClient,
  type ReplicasWatch,
  ReplicasRun,
  type Withdrawn,
  type Work,
  keepJob,
  keepReceiptHere,
  placeReplicas,
  shortId,
} from "@xenoservers/sdk";
import { exitCodeOf, writeHere } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { HeldOutput } from "../output/held-output.ts";
import { LEFT_SAYS, unlessInterrupted } from "../output/interrupt.ts";
import { endLine } from "../output/lease-lines.ts";
import { Queue } from "../output/queue.ts";
import { dim, printJson, red, say, showRaw, yellow } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { money } from "../output/ui.ts";

interface ReplicaOptions {
  out: string | null;
  json: boolean;
  quiet: boolean;
  currency: string;
  /** A drawn audit is left to later. */
  noAudit: boolean;
}

/** What it costs to have them judged. */
function termsLine({ leases, referee }: DisputeTerms, currency: string): string {
  const deposits = leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const run = money(referee.quote.holdNanos, currency);
  return `dispute  ${money(deposits, currency)} put down until it is decided; a referee's run of each costs at most ${run}`;
}

/** What is said while they run; what stands in the way is said to whoever is quiet, too. */
function told(output: HeldOutput, { quiet, currency }: ReplicaOptions): ReplicasWatch {
  const unlessQuiet = (line: string): void => void (quiet || say(line));
  return {
    onOutput: (slot, stream, bytes) => output.take(slot, stream, bytes),
    onMoved: (slot) => output.restart(slot),
    onState: (slot, state) => void (state.startsWith("problem") && unlessQuiet(yellow(`         replica ${slot + 1}: ${state}`))),
    onEnded: (lease) => unlessQuiet(endLine(lease, currency)),
    onCompared({ count, fuel, difference, isDrawn }) {
      if (difference !== null) return say(red(`the replicas differ (${difference}): the market's referee runs the job`));
      unlessQuiet(`agreed   ${count} owners signed the same output, ${fuel} fuel and memory`);
      if (isDrawn) unlessQuiet("audit    drawn: owners that are one person would agree on a lie; the market's referee runs the job");
    },
    onTerms: (terms) => unlessQuiet(termsLine(terms, currency)),
    onJudged({ segment, verdicts }) {
      if (segment) unlessQuiet(`the referee ran segment ${segment.index} of ${segment.of}`);
      for (const [lease, verdict] of verdicts) {
        if (!verdict) continue;
        const stake = `${money(verdict.slashedNanos, currency)} of stake is locked for you`;
        say(`verdict  ${shortId(lease)}: ${verdict.why}; ${money(verdict.refundNanos, currency)} came back, ${stake}`);
      }
    },
    onUndone: (error) => say(yellow(`audit    drawn, and not done: ${error.message}`)),
  };
}

export async function runReplicas(client: MarketClient, job: BuiltWork, { shared, wanted }: Work, options: ReplicaOptions): Promise<void> {
  const { out, json, quiet, noAudit } = options;
  await keepJob(job);
  const queue = new Queue({ quiet, brokerNow: () => client.brokerNow() });
  const bounds = await queue.until(placeReplicas(client, wanted, job.jobHash)).finally(() => queue.end());
  const output = new HeldOutput(bounds.length);
  const run = new ReplicasRun(client, bounds, job, {
    ...{ watch: told(output, options), noAudit, budgetNanos: wanted.budgetNanos, keep: keepReceiptHere },
    wantsFiles: out !== null || shared.length > 0,
  });
  try {
    if (!quiet) for (const { po } of bounds) say(dim(`replica  ${shortId(po.id)} on ${shortId(po.payload.server)}`));
    if (queue.isGivenUp) return sayLeft(run, await run.withdraw("interrupted"));
    const outcome = await unlessInterrupted(run.sessions, run.settled());
    if ("left" in outcome) return sayLeft(run, outcome.left);
    const { ended } = outcome;
    const { standing } = await run.compared(ended);
    const { slot, lease, delivered, fetch } = await run.delivered(standing);
    await writeHere(delivered.tree, fetch, out, shared);
    process.exitCode = exitCodeOf(lease);
    if (json) {
      const streams = { stdout: await output.whole(slot, "stdout"), stderr: await output.whole(slot, "stderr") };
      return printJson({ leases: ended.map(({ id }) => id), lease: lease.id, end: lease.end, ...encodedStreams(streams) });
    }
    for (const stream of ["stderr", "stdout"] as const) for await (const bytes of output.read(slot, stream)) await showRaw(stream, bytes);
  } finally {
    run.close();
    await output.close();
  }
}

function sayLeft({ sessions }: ReplicasRun, left: readonly Withdrawn[]): void {
  process.exitCode = EXIT.interrupted;
  for (const [i, session] of sessions.entries())
    say(`replica ${i + 1}: ${LEFT_SAYS[left[i] ?? "unheard"]}: xeno lease show ${shortId(session.lease)}`);
}
