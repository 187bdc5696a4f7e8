/**
 * What doubting a result takes, before anything is frozen: referees that can run the job, a lease whose window is open, a result that
 * can be compared, and what is put down. Who controls the inputs: the broker (views of leases and offers), the market's operator (who is
 * a referee).
 */
import {
  DRIVERS,
  SEGMENT_DISPUTE_FUEL_MIN,
  disputeDepositNanos,
  fuelToRun,
  invariant,
  minNanos,
  objectionDepositNanos,
  priceVectorOf,
  proofOf,
  type Assurance,
} from "@xenoservers/market";
import { refuse, type LeaseView, type Payload, type Refusal, type Verified } from "@xenoservers/protocol";
import { hasBreakpoints, type BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { BrokenWordError, RefusedError } from "./errors.ts";
import { quoteFor, type Quoted, type Wanted } from "./order.ts";
import type { BoundOrder } from "./purchase-order.ts";
import { signedOf } from "./signed-of-lease.ts";

/** `parts`: servers sign the states of a second run and the referee runs one part. `whole`: it runs all of the job. */
type DisputeWay = "parts" | "whole";

export interface DisputeTerms {
  way: DisputeWay;
  /** Of the referees that may be drawn and have room now: the dearest one's offer, and what its run costs at most. */
  referee: Quoted;
  /** So many may be drawn; the settlement of each lease says whose turn it is. */
  referees: number;
  leases: readonly DisputedLease[];
  /** The order that the referee's run is for: to where the doubted ones ended, and no further. */
  order: Payload<"order">;
  /** The fuel at which they were ended; null: they came to their own end. */
  upTo: bigint | null;
}

/** One of them, by what was signed for it. */
export interface DisputedLease {
  view: LeaseView;
  bound: BoundOrder;
  /** Its own server's. */
  result: Verified<"result">;
  /** Put down for it until it is decided; what was put down before is not asked for again. */
  depositNanos: bigint;
}

/** Building a large module with checkpoints comes before the segment is run. */
const BUILD_MS = 120_000;

interface RefereeOrder {
  /** Of the doubted lease. */
  order: Payload<"order">;
  referee: string;
  budgetNanos: bigint;
  job: BuiltWork;
  judges: string;
  assurance: Assurance;
}

/** What a referee runs the job under: with stake, where the job was ordered so and the referee has some, else as everyone can. */
export function refereeAssurances({ driver, assurance }: Payload<"order">): readonly Assurance[] {
  const { alikeUnder } = DRIVERS[driver];
  const plain = alikeUnder.slice(0, 1);
  return alikeUnder.includes(assurance) && !plain.includes(assurance) ? [assurance, ...plain] : plain;
}

/** The order for the referee's run: the same limits, on that one server; of a segment, no more than its own fuel. */
export function refereeOrder({ order, referee, budgetNanos, job, judges, assurance }: RefereeOrder): Wanted {
  const fuelMax = BigInt(order.fuelMax);
  const { driver, segment } = job;
  return {
    resources: order.resources,
    conditions: [{ key: "server", op: "=", value: referee }],
    terms: "on-result",
    assurance,
    on: "market",
    maxPriceNanosPerHour: null,
    durationMsMax: segment ? order.durationMsMax + BUILD_MS : order.durationMsMax,
    fuelMax: segment ? minNanos(fuelMax, BigInt(segment.segment.step)) : fuelMax,
    budgetNanos,
    label: order.label,
    account: order.account,
    segment: segment !== null,
    judges,
    driver,
    accel: DRIVERS[driver].can.acceleration ? order.accel : "any",
  };
}

/** The least that can be said of waiting: those count too that have no room now. */
const KEPT_ROOM = { waitMs: 1 };

/** The offer of one referee for the job, or why it cannot run it now. `isKept`: its room is kept since it was drawn, and looks taken. */
async function offerOfReferee(client: MarketClient, of: Omit<RefereeOrder, "assurance">, isKept: boolean): Promise<Quoted | RefusedError> {
  try {
    const [plain] = DRIVERS[of.order.driver].alikeUnder;
    invariant(plain !== undefined, "what no two servers run alike was refused before");
    return await quoteFor(client, { ...refereeOrder({ ...of, assurance: plain }), ...(isKept ? KEPT_ROOM : {}) });
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return error;
  }
}

/** The referees that are of none of these parties and have room for the job, the dearest first. Throws RefusedError. */
async function findReferees(
  client: MarketClient,
  of: Omit<RefereeOrder, "assurance" | "referee">,
  parties: ReadonlySet<string>,
  isKept: boolean,
): Promise<Quoted[]> {
  const { referees } = await client.market(true);
  const found: Quoted[] = [];
  let last: Refusal = refuse("no_referee");
  for (const referee of referees) {
    const offered = await offerOfReferee(client, { ...of, referee }, isKept);
    if (offered instanceof RefusedError)
      last = refuse("no_referee", { why: `the referee ${referee.slice(0, 12)} cannot run this job now (${offered.refusal.code})` });
    else if (parties.has(offered.offer.owner))
      last = refuse("no_referee", { why: "the market's referee is a party's own: nobody judges itself" });
    else found.push(offered);
  }
  if (found.length === 0) throw new RefusedError(last);
  return found.sort((a, b) => (a.quote.holdNanos > b.quote.holdNanos ? -1 : 1));
}

/** The fuel at which each of these was ended; null: it came to its own end. Throws RefusedError where running it again shows nothing. */
const endsOf = (order: Payload<"order">, results: readonly Payload<"result">[]): (bigint | null)[] =>
  results.map((result) => {
    const proof = proofOf(order, result);
    if (proof !== null) return fuelToRun(proof, result);
    const why = `running the job again shows nothing of ${result.reason}`;
    throw new RefusedError(refuse("not_comparable", { lease: result.lease, why }));
  });

/** Where a referee's run of all of the job has to end; null: at its own end. Throws RefusedError where one run cannot judge them all. */
function upToFuel(ends: readonly (bigint | null)[]): bigint | null {
  // what came to its own end comes to it under a limit that another reached, too
  const [first = null, ...others] = new Set(ends.filter((end) => end !== null));
  if (others.length === 0) return first;
  throw new RefusedError(refuse("not_comparable", { why: "they did not end at the same place: dispute each alone" }));
}

const limited = (order: Payload<"order">, upTo: bigint | null): Payload<"order"> =>
  upTo === null ? order : { ...order, fuelMax: upTo.toString() };

/** The order for a referee's run of the job to where this one ended, and no further. Throws RefusedError where it shows nothing. */
export const orderToEnd = (order: Payload<"order">, result: Payload<"result">): Payload<"order"> =>
  limited(order, upToFuel(endsOf(order, [result])));

function stateProblem({ id, state, end, deadlineAt }: LeaseView, result: Verified<"result"> | null, now: number): Refusal | null {
  const windowEndsAt = deadlineAt ?? end?.windowEndsAt ?? 0;
  if (state === "final" || (state === "settled" && now > windowEndsAt))
    return refuse("too_late", { lease: id, windowEndsAt, why: "the window for doubts is over" });
  if (state !== "settled" && state !== "disputed")
    return refuse("wrong_state", { lease: id, state, why: `it is ${state}: there is no result to doubt now` });
  if (!result) return refuse("not_comparable", { lease: id, why: "it ended without a result" });
  return null;
}

/** What is put down to have a server show its states, or to freeze its pay while a referee works. */
function depositOf(view: LeaseView, way: DisputeWay): bigint {
  const due = view.end?.dueNanos ?? "0";
  if (view.trace) return 0n;
  return way === "parts" ? disputeDepositNanos(BigInt(due), priceVectorOf(view.price)) : objectionDepositNanos(due, "0");
}

/** Whether a part of the job is enough: it is long, and there are states to compare. */
function wayOf(job: BuiltWork, results: readonly Payload<"result">[], tracesHere: boolean): DisputeWay {
  const long = results.every(({ fuel }) => BigInt(fuel) >= SEGMENT_DISPUTE_FUEL_MIN);
  return hasBreakpoints(job) && long && (results.length > 1 || tracesHere) ? "parts" : "whole";
}

/** A lease whose result can be doubted now. Throws RefusedError, BrokenPurchaseOrder, BrokenWordError. */
async function doubtful(client: MarketClient, id: string): Promise<Omit<DisputedLease, "depositNanos">> {
  const view = await client.read("lease", { params: { id } });
  if (view.id !== id) throw new BrokenWordError(`the broker shows another lease in place of ${id.slice(0, 12)}`);
  const { bound, result } = await signedOf(client, id);
  const problem = stateProblem(view, result, client.brokerNow());
  if (problem || !result) throw new RefusedError(problem ?? refuse("not_comparable", { lease: view.id }));
  return { view, bound, result };
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
  const found = await Promise.all(leases.map((id) => doubtful(client, id)));
  const views = found.map(({ view }) => view);
  const parties = new Set([...found.map(({ bound }) => bound.po.payload.owner), client.identity.party]);
  const results = found.map(({ result }) => result.payload);
  const ends = endsOf(order, results);
  const upTo = upToFuel(ends);
  const toEnd = limited(order, upTo);
  const isKept = views.every(({ trace }) => trace !== null);
  const [dearest, ...others] = await findReferees(client, { order: toEnd, job, budgetNanos, judges: leases[0] ?? "" }, parties, isKept);
  if (!dearest) throw new RefusedError(refuse("no_referee"));
  // states under different limits are of different runs
  const way = ends.every((end) => end === upTo) ? wayOf(job, results, tracesHere) : "whole";
  return {
    ...{ way, referee: dearest, referees: 1 + others.length, order: toEnd, upTo },
    leases: found.map((each) => ({ ...each, depositNanos: depositOf(each.view, way) })),
  };
}
