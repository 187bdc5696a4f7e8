/**
 * `xeno run --replicas K`: one order for the same job on servers of K different owners, drawn by the broker, who commit to their results
 * before any shows one. Nothing is shown before their signed results agree; where they differ the market's referee decides, and the
 * output is that of a replica that it bears out. Each is receipted only once all that it signed is here.
 */
import { isAlike } from "@xenoservers/market";
import { parseDocumentOf, type LeaseView, type Payload } from "@xenoservers/protocol";
import {
  type BoundOrder,
  BrokenPurchaseOrder,
  type BuiltWork,
  type LeaseSession,
  type MarketClient,
  RefusedError,
  type SessionHandlers,
  type Withdrawn,
  type Work,
  disputeResults,
  disputeTerms,
  fetchReceipt,
  keepJob,
  keepReceipt,
  openSessions,
  placeReplicas,
  shortId,
} from "@xenoservers/sdk";
import { resultDifference } from "@xenoservers/verify";
import { exitCodeOf, writeHere } from "../output/deliver.ts";
import { encodedStreams } from "../output/encoded.ts";
import { LEFT_SAYS, unlessInterrupted } from "../output/interrupt.ts";
import { endLine } from "../output/lease-lines.ts";
import { dim, printJson, red, say, showRaw, yellow } from "../output/terminal.ts";
import { EXIT } from "../output/exit.ts";
import { UserError, money } from "../output/ui.ts";

const RECEIPT_WITHIN_MS = 10_000;

interface Replica {
  bound: BoundOrder;
  session: LeaseSession;
  output: Record<"stdout" | "stderr", Uint8Array[]>;
}

interface ReplicaOptions {
  out: string | null;
  json: boolean;
  quiet: boolean;
  currency: string;
  /** A drawn audit is left to later. */
  noAudit: boolean;
}

/** Every file that is wanted is fetched from each before it is receipted; which of them are kept is decided when all have shown theirs. */
const proving: NonNullable<SessionHandlers["onResult"]> = async ({ tree }, session) => {
  for (const entry of tree) if (entry.kind === "file") await session.fetch(entry);
};

function startReplicas(client: MarketClient, bounds: readonly BoundOrder[], job: BuiltWork, wantsFiles: boolean, quiet: boolean) {
  const outputs = bounds.map((): Replica["output"] => ({ stdout: [], stderr: [] }));
  const { sessions, close } = openSessions(client, bounds, job, (slot) => ({
    onOutput: (stream, bytes) => void outputs[slot]?.[stream].push(bytes),
    onState: (state) => void (!quiet && state.startsWith("problem") && say(yellow(`         replica ${slot + 1}: ${state}`))),
    ...(wantsFiles ? { onResult: proving } : {}),
  }));
  const replicas = bounds.flatMap((bound, slot): Replica[] => {
    const [session, output] = [sessions[slot], outputs[slot]];
    return session && output ? [{ bound, session, output }] : [];
  });
  return { replicas, close };
}

/** Each until it is settled; a replica that the broker placed under another order ends the whole. */
async function settledAll(replicas: readonly Replica[]): Promise<LeaseView[]> {
  return Promise.all(
    replicas.map(async ({ session }) => {
      const ended = await Promise.race([session.settled(), session.failed]);
      if (ended instanceof BrokenPurchaseOrder) throw ended;
      if (ended instanceof Error) throw new UserError(ended.message);
      return ended;
    }),
  );
}

async function manifestOf(client: MarketClient, lease: string): Promise<Payload<"result"> | null> {
  const { documents } = await fetchReceipt(client, lease, RECEIPT_WITHIN_MS);
  const stored = documents.find(({ kind }) => kind === "result");
  const parsed = stored && parseDocumentOf(client.crypto, "result", stored.envelope);
  return parsed?.ok && isAlike(parsed.document.payload) ? parsed.document.payload : null;
}

export async function runReplicas(client: MarketClient, job: BuiltWork, { shared, wanted }: Work, options: ReplicaOptions): Promise<void> {
  const { out, json, quiet, currency } = options;
  await keepJob(job);
  const bounds = await placeReplicas(client, wanted, job.jobHash);
  const { replicas, close } = startReplicas(client, bounds, job, out !== null || shared.length > 0, quiet);
  try {
    if (!quiet) for (const { po } of bounds) say(dim(`replica  ${shortId(po.id)} on ${shortId(po.payload.server)}`));
    const sessions = replicas.map(({ session }) => session);
    const outcome = await unlessInterrupted(sessions, settledAll(replicas));
    if ("left" in outcome) return sayLeft(sessions, outcome.left);
    const { ended } = outcome;
    const compared: Compared[] = [];
    for (const [i, lease] of ended.entries()) {
      const [replica, manifest] = [replicas[i], await manifestOf(client, lease.id)];
      await keepReceipt(client, lease.id, 0);
      if (!quiet) say(endLine(lease, currency));
      if (replica && manifest) compared.push({ replica, lease, manifest });
    }
    // one run of the referee judges them all
    const isDrawn = !options.noAudit && ended.some(({ end }) => end?.audited === true);
    const standing = await rightOnes(client, job, compared, { ...options, ordered: replicas.length, isDrawn }, wanted.budgetNanos);
    const { replica, lease, tree } = await firstDelivered(standing);
    await writeHere(tree, (entry) => replica.session.fetch(entry), out, shared);
    process.exitCode = exitCodeOf(lease);
    const { stdout, stderr } = replica.output;
    if (json) return printJson({ leases: ended.map(({ id }) => id), lease: lease.id, end: lease.end, ...encodedStreams(replica.output) });
    for (const bytes of stderr) showRaw("stderr", bytes);
    for (const bytes of stdout) showRaw("stdout", bytes);
  } finally {
    close();
  }
}

function sayLeft(sessions: readonly LeaseSession[], left: readonly Withdrawn[]): void {
  process.exitCode = EXIT.interrupted;
  for (const [i, session] of sessions.entries())
    say(`replica ${i + 1}: ${LEFT_SAYS[left[i] ?? "unheard"]}: xeno lease show ${shortId(session.lease)}`);
}

interface Compared {
  replica: Replica;
  lease: LeaseView;
  manifest: Payload<"result">;
}

/** A server may sign the right digests and send other bytes: its session then has nothing delivered. */
async function firstDelivered(standing: readonly Compared[]) {
  for (const { replica, lease } of standing) {
    const delivered = await replica.session.delivered();
    if (delivered !== null) return { replica, lease, tree: delivered.tree };
  }
  throw new UserError(
    "no server delivered the output that it signed: nothing is shown; object (`xeno lease object`), or have it judged (`xeno dispute`)",
  );
}

/** Those whose results stand: all where they agree, those that the referee bears out where they differ. */
async function rightOnes(
  client: MarketClient,
  job: BuiltWork,
  compared: readonly Compared[],
  { quiet, currency, ordered, isDrawn }: ReplicaOptions & { ordered: number; isDrawn: boolean },
  budgetNanos: bigint,
): Promise<Compared[]> {
  const [first, ...others] = compared;
  if (!first || others.length === 0) {
    process.exitCode = EXIT.xeno;
    throw new UserError(`only ${compared.length} of ${ordered} replicas came to a result: nothing to compare; run it again`);
  }
  const difference = others.map(({ manifest }) => resultDifference(first.manifest, manifest)).find((each) => each !== null);
  if (difference === undefined) {
    if (!quiet) say(`agreed   ${compared.length} owners signed the same output, ${first.manifest.fuel} fuel and memory`);
    if (!isDrawn) return [...compared];
    if (!quiet) say("audit    drawn: owners that are one person would agree on a lie; the market's referee runs the job");
    return judged(client, job, compared, { quiet, currency }, budgetNanos).catch((error: unknown) => {
      if (!(error instanceof RefusedError)) throw error;
      say(yellow(`audit    drawn, and not done: ${error.message}`));
      return [...compared];
    });
  }
  say(red(`the replicas differ (${difference}): the market's referee runs the job`));
  return judged(client, job, compared, { quiet, currency }, budgetNanos);
}

/** Those that the referee bears out. */
async function judged(
  client: MarketClient,
  job: BuiltWork,
  compared: readonly Compared[],
  { quiet, currency }: Pick<ReplicaOptions, "quiet" | "currency">,
  budgetNanos: bigint,
): Promise<Compared[]> {
  const [first] = compared;
  if (!first) return [];
  const leases = compared.map(({ lease }) => lease.id);
  const { payload: order } = first.replica.bound.order;
  const terms = await disputeTerms(client, leases, order, job, budgetNanos, false);
  const deposits = terms.leases.reduce((sum, { depositNanos }) => sum + depositNanos, 0n);
  const run = money(terms.referee.quote.holdNanos, currency);
  if (!quiet) say(`dispute  ${money(deposits, currency)} put down until it is decided; a referee's run of each costs at most ${run}`);
  const { verdicts, segment } = await disputeResults(client, leases, order, job, budgetNanos);
  if (segment && !quiet) say(`the referee ran segment ${segment.index} of ${segment.of}`);
  for (const [lease, verdict] of verdicts) {
    if (!verdict) continue;
    const back = `${money(verdict.refundNanos, currency)} came back, ${money(verdict.slashedNanos, currency)} of stake is locked for you`;
    say(`verdict  ${shortId(lease)}: ${verdict.why}; ${back}`);
  }
  const standing = compared.filter(({ lease }) => verdicts.get(lease.id) === null);
  if (standing.length === 0)
    throw new UserError("the referee bears out none of the replicas: no output is shown; their pay came back to you");
  return standing;
}
