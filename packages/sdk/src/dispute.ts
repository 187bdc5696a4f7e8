/**
 * A result that its customer doubts, before a referee. A short job is run again whole on the referee's server. Of a long one the servers
 * sign the roots of their states at breakpoints, and the referee runs only the segment in which these part.
 */
import { invariant, traceStep, traceWithinMs } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import { hasBreakpoints, type BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { AbortedError, GivenUpError, LeftOpenError, RefusedError, StalledError } from "./errors.ts";
import { assertWanted, unlessOff } from "./calling-off.ts";
import { refereeRun, type RefereeRun } from "./dispute-run.ts";
import { disputeTerms, type DisputedLease, type DisputeTerms } from "./dispute-terms.ts";
import type { BuiltJob } from "./job.ts";
import { bring } from "./judged-word.ts";
import { fetchBound } from "./purchase-order.ts";
import { firstDifference, segmentJob, type Trace } from "./segment.ts";
import { openSession } from "./session/open-session.ts";
import { signedOf } from "./signed-of-lease.ts";

export interface Judged {
  /** Of the first lease. */
  refereeLease: string;
  /** By lease: who judged it, and in which round. */
  runs: Map<string, RefereeRun>;
  /** Of how many; null where the referee ran the whole job. */
  segment: { index: number; of: number; stateBytes: number } | null;
  /** By lease: the verdict, or null where the referee came to the same result. */
  verdicts: Map<string, Payload<"verdict"> | null>;
}

/** Runs the job here with breakpoints, so far apart, up to so much fuel; null: to its own end. */
export type TraceHere = (step: bigint, upTo: bigint | null) => Promise<Trace>;

/** One dispute: who doubts what, and before whom. */
interface Case {
  client: MarketClient;
  job: BuiltWork;
  budgetNanos: bigint;
  terms: DisputeTerms;
  signal: AbortSignal | undefined;
  /** Something is put down, or on its way: called off from then on, it is left open. */
  isOpen: boolean;
}

/** Puts the deposit down: a referee is drawn, room is kept on it, and the pay waits. What was doubted before is not doubted again. */
async function doubt(doubted: Case, lease: string, step: bigint | null): Promise<void> {
  const { client, signal } = doubted;
  const { trace, state } = await unlessOff(signal, client.read("lease", { params: { id: lease } }));
  doubted.isOpen ||= state !== "final";
  if (trace || state === "final") return;
  await client.act("trace-request", { lease, party: client.identity.party, step: step?.toString() ?? null });
}

function accusedIn({ terms }: Case, lease: string): DisputedLease {
  const accused = terms.leases.find(({ view }) => view.id === lease);
  invariant(accused, "only what is doubted is judged");
  return accused;
}

/** Doubts them in turn; returns those for which no referee has room before the others are judged. Throws where it is so of the first. */
async function doubtAll(doubted: Case, leases: readonly string[], step: bigint | null): Promise<string[]> {
  const waiting: string[] = [];
  for (const [i, lease] of leases.entries()) {
    try {
      await doubt(doubted, lease, step);
    } catch (error) {
      if (i === 0 || !(error instanceof RefusedError) || error.refusal.code !== "no_referee") throw error;
      waiting.push(lease);
    }
  }
  return waiting;
}

/** The referees run all of the job; who has to wait for their room is judged after the others. */
async function judgeWhole(doubted: Case, leases: readonly string[]): Promise<Judged> {
  const { client, job } = doubted;
  const waiting = await doubtAll(doubted, leases, null);
  const views = await Promise.all(leases.map((id) => client.read("lease", { params: { id } })));
  const open = views.filter(({ id, state }) => state === "disputed" && !waiting.includes(id));
  const judged = await judgeAll(
    doubted,
    open.map(({ id }) => id),
    job,
    null,
  );
  return waiting.length === 0 ? judged : joined(judged, await judgeWhole(doubted, waiting));
}

const joined = (one: Judged, other: Judged): Judged => ({
  ...one,
  refereeLease: one.refereeLease || other.refereeLease,
  runs: new Map([...one.runs, ...other.runs]),
  verdicts: new Map([...one.verdicts, ...other.verdicts]),
});

/** Each lease by the referee that its own settlement draws. */
async function judgeAll(
  doubted: Case,
  leases: readonly string[],
  job: BuiltWork,
  segment: Judged["segment"],
  traces: ReadonlyMap<string, Payload<"trace">> = new Map(),
): Promise<Judged> {
  const { client, budgetNanos, terms, signal } = doubted;
  const [verdicts, runs]: [Judged["verdicts"], Judged["runs"]] = [new Map(), new Map()];
  for (const lease of leases) {
    assertWanted(signal);
    const run = await refereeRun(client, { lease, order: terms.order, job, budgetNanos, ...(signal ? { signal } : {}) });
    runs.set(lease, run);
    const part = segment && { trace: traces.get(lease) ?? null, segment: segment.index };
    verdicts.set(lease, await bring(client, accusedIn(doubted, lease), run, part));
  }
  return { refereeLease: [...runs.values()][0]?.refereeLease ?? "", runs, segment, verdicts };
}

const POLL_MS = 200;
/** Times what the server has: while no broker was there to hear, its time does not run. */
const PATIENCE = 3;

/** The server's signed roots; null when it did not answer in time, which costs it its pay, or was asked for others or for none. */
async function traceFor(doubted: Case, lease: string, step: bigint): Promise<Payload<"trace"> | null> {
  const { client, signal } = doubted;
  const { result } = accusedIn(doubted, lease);
  const patienceMs = PATIENCE * traceWithinMs(BigInt(result.payload.fuel), doubted.terms.order.resources.memoryMib);
  for (const until = client.timers.now() + patienceMs; ;) {
    assertWanted(signal);
    const { state, trace } = await client.read("lease", { params: { id: lease } });
    if (state === "final" || trace?.answered) {
      const answered = (await signedOf(client, lease)).trace?.payload ?? null;
      return answered?.step === step.toString() && answered.engine === result.payload.engine ? answered : null;
    }
    if (client.timers.now() > until)
      throw new StalledError(`the time in which the server of lease ${lease} had to show its states is long over, and the lease goes on`);
    await client.sleep(POLL_MS);
  }
}

/** A server's trace, whose states are fetched through one channel. */
async function openTrace(client: MarketClient, lease: string, roots: readonly string[]): Promise<Trace> {
  const { session, close } = openSession(client, await fetchBound(client, lease), null, {});
  return { roots, read: (digest) => session.fetchWhole(digest), close };
}

/** Of a trace that nobody needs any more, whenever it comes. */
const letGo = (trace: Promise<Trace> | undefined): void =>
  void trace?.then(
    ({ close }) => close(),
    () => {},
  );

/** The referee runs the one segment where traces part; null where that cannot be found, and the whole job has to be run. */
async function disputeSegment(doubted: Case, job: BuiltJob, here: TraceHere | undefined): Promise<Judged | null> {
  const { client, terms, signal } = doubted;
  const most = terms.leases.map(({ result }) => BigInt(result.payload.fuel)).reduce((a, b) => (a > b ? a : b));
  const step = traceStep(most, terms.order.resources.memoryMib);
  const all = terms.leases.map(({ view }) => view.id);
  const waiting = await doubtAll(doubted, all, step);
  const open = all.filter((id) => !waiting.includes(id));
  // two servers show each other's states; one alone is held against the customer's own, made meanwhile
  const mine = all.length === 1 ? here?.(step, terms.upTo) : undefined;
  mine?.catch(() => {});
  const asked = await Promise.all(open.map(async (id) => ({ lease: id, trace: await traceFor(doubted, id, step) }))).catch(
    (error: unknown) => {
      letGo(mine);
      throw error;
    },
  );
  const answered = asked.flatMap(({ lease, trace }) => (trace && trace.detail === "" ? [{ lease, roots: trace.roots, trace }] : []));
  if (answered.length === 0) {
    letGo(mine);
    return null;
  }
  const sources: Trace[] = [];
  let own: Trace | undefined;
  try {
    for (const { lease, roots } of answered) sources.push(await openTrace(client, lease, roots));
    own = mine && (await unlessOff(signal, mine));
    if (own) sources.push(own);
    const [first, ...others] = sources;
    if (!first || others.length === 0) return null;
    const index = Math.min(...others.map(({ roots }) => firstDifference(first.roots, roots)));
    const part = await segmentJob(job, first.roots, { step: step.toString(), index, upTo: terms.upTo?.toString() ?? null }, sources);
    const of = Math.max(...sources.map(({ roots }) => roots.length)) + 1;
    const stateBytes = (part.segment?.pieces ?? []).reduce((sum, { size }) => sum + size, 0);
    const judged = await judgeAll(
      doubted,
      answered.map(({ lease }) => lease),
      part,
      { index, of, stateBytes },
      new Map(answered.map(({ lease, trace }) => [lease, trace])),
    );
    return waiting.length === 0 ? judged : joined(judged, await judgeWhole(doubted, waiting));
  } finally {
    if (!own) letGo(mine);
    for (const { close } of sources) await close();
  }
}

/**
 * Leases of one job whose results are doubted: their pay is frozen, and for each the referee that is drawn for it runs the job (of a long
 * one the segment in which the servers' states part from each other's, or from those found `here`). Costs the referees' price and the
 * deposits of `disputeTerms`, which it checks again; on conviction the pay and the deposits come back at once, and the locked stake
 * follows when its owner may not appeal any more. Throws RefusedError, and LeftOpenError where it is called off after the doubt was signed.
 */
export async function disputeResults(
  client: MarketClient,
  leases: readonly string[],
  order: Payload<"order">,
  job: BuiltWork,
  budgetNanos: bigint,
  here?: TraceHere,
  signal?: AbortSignal,
): Promise<Judged> {
  const terms = await unlessOff(signal, disputeTerms(client, leases, order, job, budgetNanos, here !== undefined));
  const doubted: Case = { client, job, budgetNanos, terms, signal, isOpen: false };
  return judged(doubted, leases, here).catch((error: unknown) => {
    const isOff = error instanceof AbortedError || error instanceof GivenUpError;
    throw isOff && doubted.isOpen ? new LeftOpenError(leases, error.cause) : error;
  });
}

async function judged(doubted: Case, leases: readonly string[], here: TraceHere | undefined): Promise<Judged> {
  const { job, terms } = doubted;
  if (terms.way === "parts" && hasBreakpoints(job)) {
    const ofPart = await disputeSegment(doubted, job, here);
    if (ofPart) return ofPart;
  }
  return judgeWhole(doubted, leases);
}
