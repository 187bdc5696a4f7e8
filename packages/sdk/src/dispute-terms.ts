/**
 * What doubting a result takes, before anything is frozen: a referee that can run the job, a lease whose window is open, a result that
 * can be compared, and what is put down. Who controls the inputs: the broker (views of leases and offers), the market's operator (who is
 * a referee).
 */
import {
  DRIVERS,
  SEGMENT_DISPUTE_FUEL_MIN,
  disputeDepositNanos,
  fuelToRun,
  minNanos,
  objectionDepositNanos,
  priceVectorOf,
  proofOf,
} from "@xenoservers/market";
import { parseDocumentOf, refuse, type LeaseView, type Payload, type ReceiptDocument, type Refusal } from "@xenoservers/protocol";
import { hasBreakpoints, type BuiltWork } from "./built.ts";
import { RefusedError, type MarketClient } from "./client.ts";
import { quoteFor, type Quoted, type Wanted } from "./order.ts";

/** `parts`: servers sign the states of a second run and the referee runs one part. `whole`: it runs all of the job. */
type DisputeWay = "parts" | "whole";

export interface DisputeTerms {
  way: DisputeWay;
  /** The referee's own offer, and what its run costs at most. */
  referee: Quoted;
  leases: readonly DisputedLease[];
  /** The order that the referee's run is for: to where the doubted ones ended, and no further. */
  order: Payload<"order">;
}

interface DisputedLease {
  view: LeaseView;
  result: Payload<"result">;
  /** Put down for it until it is decided; what was put down before is not asked for again. */
  depositNanos: bigint;
}

/** Building a large module with checkpoints comes before the segment is run. */
const BUILD_MS = 120_000;

/** The order for the referee's run: the same limits, on that one server; of a segment, no more than its own fuel. */
export function refereeOrder(order: Payload<"order">, referee: string, budgetNanos: bigint, job: BuiltWork): Wanted {
  const fuelMax = BigInt(order.fuelMax);
  const { driver, segment } = job;
  const { alikeUnder, can } = DRIVERS[driver];
  return {
    resources: order.resources,
    conditions: [{ key: "server", op: "=", value: referee }],
    terms: "on-result",
    assurance: alikeUnder[0],
    on: "market",
    maxPriceNanosPerHour: null,
    durationMsMax: segment ? order.durationMsMax + BUILD_MS : order.durationMsMax,
    fuelMax: segment ? minNanos(fuelMax, BigInt(segment.segment.step)) : fuelMax,
    budgetNanos,
    label: order.label,
    account: order.account,
    segment: segment !== null,
    driver,
    accel: can.acceleration ? order.accel : "any",
  };
}

/** The first referee that is of none of these owners and has room for the job now. Throws RefusedError. */
async function findReferee(
  client: MarketClient,
  order: Payload<"order">,
  job: BuiltWork,
  budgetNanos: bigint,
  owners: ReadonlySet<string>,
): Promise<Quoted> {
  const { referees } = await client.market(true);
  let last: Refusal = refuse("no_referee");
  for (const referee of referees) {
    try {
      const found = await quoteFor(client, refereeOrder(order, referee, budgetNanos, job));
      if (!owners.has(found.offer.owner)) return found;
      last = refuse("no_referee", { why: "the market's referee is the accused owner's own: nobody judges itself" });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      last = refuse("no_referee", { why: `the referee ${referee.slice(0, 12)} cannot run this job now (${error.refusal.code})` });
    }
  }
  throw new RefusedError(last);
}

/** Of these documents, the one of a kind that a lease has once. */
export function documentIn<K extends "result" | "trace">(
  client: MarketClient,
  documents: readonly ReceiptDocument[],
  wanted: K,
): Payload<K> | null {
  const stored = documents.find(({ kind }) => kind === wanted);
  const parsed = stored && parseDocumentOf(client.crypto, wanted, stored.envelope);
  return parsed?.ok ? parsed.document.payload : null;
}

/** The fuel up to which a referee has to run the job; null: to its own end. Throws RefusedError where one run cannot judge them all. */
function upToFuel(order: Payload<"order">, found: readonly { view: LeaseView; result: Payload<"result"> }[]): bigint | null {
  const ends = found.map(({ view, result }) => {
    const proof = proofOf(order, result);
    if (proof !== null) return fuelToRun(proof, result);
    throw new RefusedError(refuse("not_comparable", { lease: view.id, why: `running the job again shows nothing of ${result.reason}` }));
  });
  // what came to its own end comes to it under a limit that another reached, too
  const [first = null, ...others] = new Set(ends.filter((end) => end !== null));
  if (others.length === 0) return first;
  throw new RefusedError(refuse("not_comparable", { why: "they did not end at the same place: dispute each alone" }));
}

function stateProblem({ id, state, end, deadlineAt }: LeaseView, result: Payload<"result"> | null, now: number): Refusal | null {
  if (state !== "settled" && state !== "disputed") return refuse("wrong_state", { lease: id, state });
  const windowEndsAt = deadlineAt ?? end?.windowEndsAt ?? 0;
  if (state === "settled" && now > windowEndsAt)
    return refuse("too_late", { lease: id, windowEndsAt, why: "the window for doubts is over" });
  if (!result) return refuse("not_comparable", { lease: id, why: "it ended without a result" });
  return null;
}

/** What is put down to have a server show its states, or to freeze its pay while a referee works. */
function depositOf(view: LeaseView, way: DisputeWay): bigint {
  const due = view.end?.dueNanos ?? "0";
  if (way === "parts") return view.trace ? 0n : disputeDepositNanos(BigInt(due), priceVectorOf(view.price));
  return view.state === "disputed" || due === "0" ? 0n : objectionDepositNanos(due, "0");
}

/** Whether a part of the job is enough: it is long, and there are states to compare. */
function wayOf(job: BuiltWork, results: readonly Payload<"result">[], tracesHere: boolean): DisputeWay {
  const long = results.every(({ fuel }) => BigInt(fuel) >= SEGMENT_DISPUTE_FUEL_MIN);
  return hasBreakpoints(job) && long && (results.length > 1 || tracesHere) ? "parts" : "whole";
}

/** Throws RefusedError with the first thing that stands in the way; nothing is frozen yet. */
export async function disputeTerms(
  client: MarketClient,
  leases: readonly string[],
  order: Payload<"order">,
  job: BuiltWork,
  budgetNanos: bigint,
  tracesHere: boolean,
): Promise<DisputeTerms> {
  const views = await Promise.all(leases.map((id) => client.read("lease", { params: { id } })));
  const receipts = await Promise.all(leases.map((id) => client.read("receipt", { params: { id } })));
  const found = views.map((view, i) => {
    const result = documentIn(client, receipts[i]?.documents ?? [], "result");
    const problem = stateProblem(view, result, client.brokerNow());
    if (problem || !result) throw new RefusedError(problem ?? refuse("not_comparable", { lease: view.id }));
    return { view, result };
  });
  const upTo = upToFuel(order, found);
  const limited = upTo === null ? order : { ...order, fuelMax: upTo.toString() };
  const owners = new Set(views.map(({ owner }) => owner));
  const referee = await findReferee(client, limited, job, budgetNanos, owners);
  const results = found.map(({ result }) => result);
  const way = upTo === null ? wayOf(job, results, tracesHere) : "whole";
  return { way, referee, order: limited, leases: found.map(({ view, result }) => ({ view, result, depositNanos: depositOf(view, way) })) };
}
