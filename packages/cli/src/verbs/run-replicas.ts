/**
 * `xeno run --replicas K`: one order for the same job on servers of K different owners. Nothing is shown before their signed results agree,
 * or the market's referee has decided.
 */
import type { LeaseView } from "@xenoservers/protocol";
import {
  type DisputeTerms,
  LastWills,
  LeftOpenError,
  ReplicasGivenUpError,
  type ReplicasResult,
  type ReplicasWatch,
  type ReplicatedJob,
  shortId,
} from "@xenoservers/sdk";
import { stopsOnExit } from "../input/on-exit.ts";
import type { RunInput } from "../input/verbs/run.ts";
import { exitCodeFor } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { EXIT } from "../output/exit.ts";
import { HeldOutput } from "../output/held-output.ts";
import { LEFT_SAYS, onSignals } from "../output/interrupt.ts";
import { endLine } from "../output/lease-lines.ts";
import { Queue } from "../output/queue.ts";
import { dim, printJson, red, say, showRaw, yellow } from "../output/terminal.ts";
import { UserError, money } from "../output/ui.ts";
import type { Prepared } from "./quote.ts";

/** What it costs to have them judged. */
function termsLine({ leases, referee }: DisputeTerms, currency: string): string {
  const deposits = leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const run = money(referee.quote.holdNanos, currency);
  return `dispute  ${money(deposits, currency)} put down until it is decided; a referee's run of each costs at most ${run}`;
}

interface Told {
  output: HeldOutput;
  /** By lease, as they end. */
  ended: Map<string, LeaseView>;
  quiet: boolean;
  currency: string;
}

/** What is said while they run; what stands in the way is said to whoever is quiet, too. */
function told({ output, ended, quiet, currency }: Told): ReplicasWatch {
  const unlessQuiet = (line: string): void => void (quiet || say(line));
  return {
    onOutput: (slot, stream, bytes) => output.take(slot, stream, bytes),
    onMoved: (slot) => output.restart(slot),
    onState: (slot, state) => void (state.startsWith("problem") && unlessQuiet(yellow(`         replica ${slot + 1}: ${state}`))),
    onEnded(lease) {
      ended.set(lease.id, lease);
      unlessQuiet(endLine(lease, currency));
    },
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

/** What they come to; an interrupt gives all of them up, or ends the wait for the referee, and a second one does not wait for that. */
async function untilCompared(job: ReplicatedJob, off: AbortController): Promise<ReplicasResult> {
  const { promise: unheard, reject } = Promise.withResolvers<never>();
  const done = onSignals(() => {
    if (off.signal.aborted) reject(givenUpUnheard(job));
    off.abort(new Error("interrupted"));
  });
  try {
    return await Promise.race([job.result, unheard]);
  } finally {
    done();
    job.detach();
  }
}

const givenUpUnheard = ({ leases }: ReplicatedJob): ReplicasGivenUpError =>
  new ReplicasGivenUpError(new Map(leases.map((lease) => [lease, "unheard"])), new Error("interrupted"));

export async function runReplicas({ market, context, run }: Prepared, input: RunInput): Promise<void> {
  const quiet = input.quiet || input.json;
  const queue = new Queue({ quiet, brokerNow: () => market.client.brokerNow() });
  const [output, ended, off] = [new HeldOutput(run.wanted.replicas ?? 1), new Map<string, LeaseView>(), new AbortController()];
  const wills = stopsOnExit(input) ? LastWills.of(market.client) : null;
  try {
    const watching = {
      ...{ watch: told({ output, ended, quiet, currency: context.currency }), noAudit: input.noAudit, receiptWaitMs: 0 },
      signal: AbortSignal.any([queue.signal, off.signal]),
    };
    const job = await queue
      .until(run.replicas(watching))
      .catch((error: unknown) => Promise.reject(queue.told(error)))
      .finally(() => queue.end());
    if (!quiet) for (const [i, lease] of job.leases.entries()) say(dim(`replica  ${shortId(lease)} on ${shortId(job.servers[i] ?? "")}`));
    await show(await untilCompared(job, off), { output, ended, json: input.json });
  } catch (error) {
    failed(error, off.signal.aborted);
  } finally {
    wills?.leave();
    await output.close();
  }
}

interface Shown extends Pick<Told, "output" | "ended"> {
  json: boolean;
}

async function show(result: ReplicasResult, { output, ended, json }: Shown): Promise<void> {
  const { lease, replicas, verification } = result;
  const slot = replicas.findIndex((each) => each.lease === lease);
  for (const { check, says, status } of verification.lines)
    if (status === "failed") say(red(`         the receipt does not hold: ${check}: ${says}`));
  process.exitCode = exitCodeFor({ reason: result.end.reason, exitCode: result.exitCode });
  if (json) {
    const streams = { stdout: await output.whole(slot, "stdout"), stderr: await output.whole(slot, "stderr") };
    const end = ended.get(lease)?.end ?? null;
    return printJson({ leases: replicas.map((each) => each.lease), lease, end, ...encodedStreams(streams) });
  }
  for (const stream of ["stderr", "stdout"] as const) for await (const bytes of output.read(slot, stream)) await showRaw(stream, bytes);
}

/** What became of those that were interrupted, in words. */
function failed(error: unknown, isInterrupted: boolean): void {
  if (isInterrupted && error instanceof LeftOpenError) throw new UserError(`${error.message}; ${error.next}`, EXIT.interrupted);
  if (!(error instanceof ReplicasGivenUpError)) throw error;
  process.exitCode = EXIT.interrupted;
  for (const [i, [lease, left]] of [...error.replicas].entries())
    say(`replica ${i + 1}: ${LEFT_SAYS[left]}: xeno lease show ${shortId(lease)}`);
}
