/**
 * A result that its customer doubts, before a referee. A short job is run again whole on the referee's server. Of a long one the servers sign the roots
 * of their states at checkpoints, and the referee runs only the segment in which these part.
 */
import { SEGMENT_DISPUTE_FUEL_MIN, minNanos, traceStep } from "@xenoservers/market";
import { parseDocumentOf, segmentHashOf, type Payload } from "@xenoservers/protocol";
import { RefusedError, type MarketClient } from "./client.ts";
import type { BuiltJob } from "./job.ts";
import type { BuiltVm } from "./vm.ts";
import { openLink } from "./connect.ts";
import { LeaseSession } from "./lease-session.ts";
import { checkBound, fetchBound, signOrder, type BoundOrder, type Wanted } from "./order.ts";
import { firstDifference, segmentJob, type Trace } from "./segment.ts";

export interface Judged {
  refereeLease: string;
  /** Of how many; null where the referee ran the whole job. */
  segment: { index: number; of: number; stateBytes: number } | null;
  /** By lease: the verdict, or null where the referee came to the same result. */
  verdicts: Map<string, Payload<"verdict"> | null>;
}

/** Runs the job here with checkpoints, so far apart. */
export type TraceHere = (step: bigint) => Promise<Trace>;

/** Building a large module with checkpoints comes before the segment is run. */
const BUILD_MS = 120_000;

/** The order for the referee's run: the same limits, on that one server; of a segment, no more than its own fuel. */
function refereeOrder(order: Payload<"order">, referee: string, budgetNanos: bigint, job: BuiltJob | BuiltVm): Wanted {
  const fuelMax = BigInt(order.fuelMax);
  const segment = job.kind === "wasm" ? job.segment : null;
  return {
    resources: order.resources,
    conditions: [{ key: "server", op: "=", value: referee }],
    terms: "on-result",
    assurance: job.kind === "vm" ? "deterministic-vm" : "isolated",
    on: "market",
    maxPriceNanosPerHour: null,
    durationMsMax: segment ? order.durationMsMax + BUILD_MS : order.durationMsMax,
    fuelMax: segment ? minNanos(fuelMax, BigInt(segment.segment.step)) : fuelMax,
    budgetNanos,
    label: "referee",
    segment: segment !== null,
    ...(job.kind === "vm" ? { vm: { accel: order.accel, egress: "none", egressMibMax: 0 } } : {}),
  };
}

/** Freezes the owner's pay while the referee works, so that the window cannot run out meanwhile. */
async function freeze(client: MarketClient, lease: string): Promise<void> {
  const { state } = await client.read("lease", { params: { id: lease } });
  if (state === "settled")
    await client.act("objection", { lease, party: client.identity.party, expectedDueNanos: "0", reason: "the result is before a referee" });
}

async function refereeRun(client: MarketClient, order: Payload<"order">, job: BuiltJob | BuiltVm, budgetNanos: bigint): Promise<string> {
  const [referee] = (await client.read("market")).referees;
  if (referee === undefined) throw new Error("this market has no referee; object with `xeno lease object` and let its operator rule");
  const segment = job.kind === "wasm" ? job.segment : null;
  const jobHash = segment ? segmentHashOf(client.crypto, job.jobHash, segment.segment) : job.jobHash;
  const signed = signOrder(client, refereeOrder(order, referee, budgetNanos, job), jobHash);
  const answer = await client.submit(signed.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  const { session, close } = openSession(client, checkBound(client, signed.id, answer.answer["purchaseOrder"]), job);
  try {
    await session.settled();
    return session.lease;
  } finally {
    close();
  }
}

function openSession(client: MarketClient, bound: BoundOrder, job: BuiltJob | BuiltVm | null): { session: LeaseSession; close(): void } {
  let opened: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => opened?.hint(), onEvent: (event) => opened?.hint(event) });
  const session = (opened = new LeaseSession(client, bound, job, {}, link, undefined, client.timers));
  return {
    session,
    close() {
      session.close();
      link.stop();
    },
  };
}

async function judge(client: MarketClient, lease: string, refereeLease: string, segment: number | null): Promise<Payload<"verdict"> | null> {
  const answer = await client.act("dispute", { lease, party: client.identity.party, refereeLease, segment }).catch((error: unknown) => {
    if (segment !== null && error instanceof RefusedError && error.refusal.code === "result_agrees") return {} as Record<string, unknown>;
    throw error;
  });
  if (answer["verdict"] === undefined) return null;
  const verdict = parseDocumentOf(client.crypto, "verdict", answer["verdict"]);
  if (!verdict.ok || verdict.document.keyid !== client.pins.keys.receipts) throw new Error("the broker's verdict is not valid");
  return verdict.document.payload;
}

async function judgeAll(client: MarketClient, leases: readonly string[], refereeLease: string, segment: Judged["segment"]): Promise<Judged> {
  const verdicts: Judged["verdicts"] = new Map();
  for (const lease of leases) verdicts.set(lease, await judge(client, lease, refereeLease, segment?.index ?? null));
  return { refereeLease, segment, verdicts };
}

const POLL_MS = 200;

async function resultOf(client: MarketClient, lease: string): Promise<Payload<"result"> | null> {
  const { documents } = await client.read("receipt", { params: { id: lease } });
  const stored = documents.find(({ kind }) => kind === "result");
  const parsed = stored && parseDocumentOf(client.crypto, "result", stored.envelope);
  return parsed?.ok ? parsed.document.payload : null;
}

/** The server's signed roots, asked for once; null when it did not answer in time, which costs it its pay, or was asked for others. */
async function askForTrace(client: MarketClient, lease: string, step: bigint): Promise<Payload<"trace"> | null> {
  const { state, end, trace } = await client.read("lease", { params: { id: lease } });
  if (!end || state === "final") return null;
  if (!trace) await client.act("trace-request", { lease, party: client.identity.party, step: step.toString() });
  for (;;) {
    const { documents } = await client.read("receipt", { params: { id: lease } });
    const stored = documents.find(({ kind }) => kind === "trace");
    const parsed = stored && parseDocumentOf(client.crypto, "trace", stored.envelope);
    if (parsed?.ok) return parsed.document.payload.step === step.toString() ? parsed.document.payload : null;
    if ((await client.read("lease", { params: { id: lease } })).state === "final") return null;
    await client.sleep(POLL_MS);
  }
}

/** The referee runs the one segment where traces part; null where that cannot be found, and the whole job has to be run. */
async function disputeSegment(
  client: MarketClient,
  leases: readonly string[],
  order: Payload<"order">,
  job: BuiltJob,
  budgetNanos: bigint,
  step: bigint,
  here: TraceHere | undefined,
): Promise<Judged | null> {
  const asked = await Promise.all(leases.map(async (lease) => ({ lease, trace: await askForTrace(client, lease, step) })));
  const answered = asked.flatMap(({ lease, trace }) => (trace && trace.detail === "" ? [{ lease, roots: trace.roots }] : []));
  if (answered.length === 0) return null;
  const servers = await Promise.all(answered.map(({ lease, roots }) => openTrace(client, lease, roots)));
  const own = servers.length === 1 ? await here?.(step) : undefined;
  try {
    const [first, second, ...more] = own ? [...servers, own] : servers;
    if (!second) return null;
    const sources = [first!, second, ...more];
    const index = Math.min(...sources.slice(1).map(({ roots }) => firstDifference(first!.roots, roots)));
    const part = await segmentJob(job, first!.roots, step, index, sources);
    const refereeLease = await refereeRun(client, order, part, budgetNanos);
    const of = Math.max(...sources.map(({ roots }) => roots.length)) + 1;
    const traced = answered.map(({ lease }) => lease);
    const stateBytes = part.segment!.pieces.reduce((sum, { size }) => sum + size, 0);
    return await judgeAll(client, traced, refereeLease, { index, of, stateBytes });
  } finally {
    for (const { close } of own ? [...servers, own] : servers) await close();
  }
}

/** A server's trace, whose states are fetched through one channel. */
async function openTrace(client: MarketClient, lease: string, roots: readonly string[]): Promise<Trace> {
  const { session, close } = openSession(client, await fetchBound(client, lease), null);
  return { roots, read: (digest) => session.fetchWhole(digest), close };
}

/**
 * Leases of one job whose results are doubted: their pay is frozen, the referee runs the job (of a long one the segment in which the servers' states
 * part from each other's, or from those found `here`) once, and its result decides over each. Costs the referee's price and, of a long job, a deposit
 * for each server's second run; on conviction the deposit comes back and the locked stake pays for the rest. Throws RefusedError: `wrong_state` when
 * the window is over, `not_comparable`, and what an order can be refused with.
 */
export async function disputeResults(
  client: MarketClient,
  leases: readonly string[],
  order: Payload<"order">,
  job: BuiltJob | BuiltVm,
  budgetNanos: bigint,
  here?: TraceHere,
): Promise<Judged> {
  const results = await Promise.all(leases.map((lease) => resultOf(client, lease)));
  const fuels = results.map((result) => BigInt(result?.fuel ?? 0));
  const least = fuels.reduce((a, b) => (a < b ? a : b));
  const most = fuels.reduce((a, b) => (a > b ? a : b));
  const comparable = leases.length > 1 || here !== undefined;
  if (job.kind === "wasm" && comparable && least >= SEGMENT_DISPUTE_FUEL_MIN) {
    const judged = await disputeSegment(client, leases, order, job, budgetNanos, traceStep(most, order.resources.memoryMib), here);
    if (judged) return judged;
  }
  for (const lease of leases) await freeze(client, lease);
  return judgeAll(client, leases, await refereeRun(client, order, job, budgetNanos), null);
}
