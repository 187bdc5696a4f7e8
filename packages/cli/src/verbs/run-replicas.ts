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
import { LEFT_SAYS, unlessInterrupted } from "../output/interrupt.ts";
import { endLine } from "../output/lease-lines.ts";
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

type Outputs = readonly Record<"stdout" | "stderr", Uint8Array[]>[];

/** What it costs to have them judged. */
function termsLine({ leases, referee }: DisputeTerms, currency: string): string {
  const deposits = leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const run = money(referee.quote.holdNanos, currency);
  return `dispute  ${money(deposits, currency)} put down until it is decided; a referee's run of each costs at most ${run}`;
}

/** What is said while they run; what stands in the way is said to whoever is quiet, too. */
function told(outputs: Outputs, { quiet, currency }: ReplicaOptions): ReplicasWatch {
  const unlessQuiet = (line: string): void => void (quiet || say(line));
  return {
    onOutput: (slot, stream, bytes) => void outputs[slot]?.[stream].push(bytes),
    onMoved: (slot) => void [outputs[slot]?.stdout, outputs[slot]?.stderr].forEach((pieces) => pieces?.splice(0)),
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
  const bounds = await placeReplicas(client, wanted, job.jobHash);
  const outputs: Outputs = bounds.map(() => ({ stdout: [], stderr: [] }));
  const run = new ReplicasRun(client, bounds, job, {
    ...{ watch: told(outputs, options), noAudit, budgetNanos: wanted.budgetNanos, keep: keepReceiptHere },
    wantsFiles: out !== null || shared.length > 0,
  });
  try {
    if (!quiet) for (const { po } of bounds) say(dim(`replica  ${shortId(po.id)} on ${shortId(po.payload.server)}`));
    const outcome = await unlessInterrupted(run.sessions, run.settled());
    if ("left" in outcome) return sayLeft(run, outcome.left);
    const { ended } = outcome;
    const { standing } = await run.compared(ended);
    const { slot, lease, delivered, fetch } = await run.delivered(standing);
    await writeHere(delivered.tree, fetch, out, shared);
    process.exitCode = exitCodeOf(lease);
    const output = outputs[slot] ?? { stdout: [], stderr: [] };
    if (json) return printJson({ leases: ended.map(({ id }) => id), lease: lease.id, end: lease.end, ...encodedStreams(output) });
    for (const bytes of output.stderr) showRaw("stderr", bytes);
    for (const bytes of output.stdout) showRaw("stdout", bytes);
  } finally {
    run.close();
  }
}

function sayLeft({ sessions }: ReplicasRun, left: readonly Withdrawn[]): void {
  process.exitCode = EXIT.interrupted;
  for (const [i, session] of sessions.entries())
    say(`replica ${i + 1}: ${LEFT_SAYS[left[i] ?? "unheard"]}: xeno lease show ${shortId(session.lease)}`);
}
