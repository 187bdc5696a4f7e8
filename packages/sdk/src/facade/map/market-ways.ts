/** What a map needs, by the market that it is of. Who controls the inputs: the broker, every byte of its answers. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { MarketClient } from "../../client.ts";
import { InputError, RefusedError } from "../../errors.ts";
import { canBeRun, type BuiltWork } from "../../built.ts";
import { joinableOf, type Joinable } from "../../joined-job.ts";
import { driverOf, type Wanted } from "../../order.ts";
import type { WhileWaiting } from "../../waiting.ts";
import type { Here, Planned } from "../here.ts";
import type { JobResult } from "../job-result.ts";
import type { RunInput } from "../run-input.ts";
import { ANY_OFFER, workDigest } from "../same-work.ts";
import type { Limits } from "./pace.ts";
import { partJob, type RunsTaken } from "./parts.ts";
import { ApartError, type Followable, type MapOrder, type MapPlan, type MapWays } from "./ways.ts";

/** What was read, and is built for no offer yet. */
interface ReadWork {
  planned: Planned;
  wanted: Wanted;
  work: BuiltWork;
}

/** How a market orders one job by steps. */
export interface Orders {
  client: MarketClient;
  here: Here;
  read(input: RunInput): Promise<{ planned: Planned; wanted: Wanted }>;
  /** What it came to earlier; null: it has to be run. */
  earlier(read: { planned: Planned; wanted: Wanted }): Promise<JobResult | null>;
  order(read: { planned: Planned; wanted: Wanted }, waiting: WhileWaiting): Promise<Followable>;
  follow(lease: string, planned: Planned): Promise<Followable>;
  /** Several as one lease, whose files come to where each of them wants them. */
  orderTogether(reads: readonly ReadWork[], wanted: Wanted, waiting: WhileWaiting): Promise<{ job: Followable; taken: RunsTaken }>;
  /** One run of a lease of several. */
  followRun(lease: string, run: number, planned: Planned): Promise<{ job: Followable; taken: RunsTaken }>;
  verify(lease: string): Promise<ReceiptVerification>;
}

/** For room in a full market; what waits longer is refused as busy. */
const WAIT_MS = 12 * 3_600_000;
/** Then what nobody has closed comes back by itself. */
const BATCH_MS = 24 * 3_600_000;

async function standing(client: MarketClient, order: string) {
  return client.read("order", { params: { id: order } }).catch((error: unknown) => {
    if (error instanceof RefusedError && error.code === "not_found") return null;
    throw error;
  });
}

/** One that still waits is withdrawn, so that nothing comes of it later. */
async function leaseOf(client: MarketClient, order: string): Promise<string | null> {
  const found = await standing(client, order);
  if (!found?.waiting) return found?.lease ?? null;
  const { party } = client.identity;
  const reason = "what ordered it has ended";
  const answer = await client.submit(client.sign("order-withdrawal", { party, order, reason }).envelope);
  if (answer.ok) return null;
  // it was bound in the same moment
  if (answer.code === "wrong_state") return (await standing(client, order))?.lease ?? null;
  throw new RefusedError(answer);
}

async function openBatch(client: MarketClient, budgetNanos: bigint, account: string): Promise<string | null> {
  const { party, scopes } = client.identity;
  if (!scopes.includes("control")) return null;
  const expiresAt = await client.brokerTimeIn(BATCH_MS);
  const opened = await client.act("batch", {
    ...{ party, account, budgetNanos: budgetNanos.toString(), expiresAt, clientId: client.newId() },
  });
  return String(opened["batch"]);
}

async function closeBatch(client: MarketClient, batch: string): Promise<void> {
  const answer = await client.submit(client.sign("batch-close", { party: client.identity.party, batch }).envelope);
  // it has expired, or was closed before
  if (!answer.ok && !["wrong_state", "not_found"].includes(answer.code)) throw new RefusedError(answer);
}

/** What a plan was made of. */
const PLANNED = new WeakMap<MapPlan, ReadWork>();

export function mapWays(orders: Orders): MapWays {
  const { client, here } = orders;
  return {
    owner: { origin: client.pins.origin, party: client.identity.party },
    now: () => client.timers.now(),
    sleep: (ms) => client.sleep(ms),
    journal: (name) => here.mapJournal(name),
    leaseOf: (order) => leaseOf(client, order),
    dueOf: async (lease) => {
      const { end } = await client.read("lease", { params: { id: lease } });
      return end ? BigInt(end.dueNanos) : null;
    },
    openBatch: (budgetNanos, account) => openBatch(client, budgetNanos, account),
    closeBatch: (batch) => closeBatch(client, batch),
    verify: onceEach((lease) => orders.verify(lease)),
    plan: (input) => planOf(orders, input),
    orderTogether: (plans, how) => orderTogether(orders, plans, how),
  };
}

const orderedBy = (wanted: Wanted, { holdNanos, batch }: MapOrder): Wanted => ({
  ...wanted,
  ...{ budgetNanos: holdNanos, waitMs: WAIT_MS, ...(batch === null ? {} : { batch }) },
});

async function planOf(orders: Orders, input: RunInput): Promise<MapPlan> {
  const { planned, wanted } = await orders.read(input);
  const work = planned.build(ANY_OFFER);
  const plan: MapPlan = {
    digest: workDigest(orders.client.crypto, work.spec),
    budgetNanos: wanted.budgetNanos,
    out: input.out ?? null,
    account: wanted.batch === undefined ? (wanted.account ?? orders.client.identity.account) : null,
    joins: joinsOf(work, wanted),
    warn: (text) => input.onWarning?.(text),
    earlier: () => orders.earlier({ planned, wanted }),
    follow: async (lease, run) => {
      if (run === null) return orders.follow(lease, planned);
      const { job, taken } = await orders.followRun(lease, run, planned);
      return partJob(job, run, taken);
    },
    order: ({ onSigned, signal, ...how }) =>
      orders.order({ planned, wanted: orderedBy(wanted, { ...how, onSigned, signal }) }, { onSigned, signal }),
  };
  PLANNED.set(plan, { planned, wanted, work });
  return plan;
}

/** What is paid by time, or is for several servers, is a lease of its own. */
function joinsOf(work: BuiltWork, wanted: Wanted): (Joinable & Limits) | null {
  const { terms, replicas = 1, segment = false, judges, egress = "none" } = wanted;
  const isPlain = terms === "on-result" && replicas === 1 && !segment && judges === undefined && egress === "none";
  const joins = isPlain && canBeRun(work) && driverOf(wanted) === work.driver ? joinableOf(work) : null;
  if (joins === null) return null;
  const asked = JSON.stringify(wanted, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
  const { durationMsMax: ms, fuelMax: fuel, budgetNanos: costNanos } = wanted;
  return { ...joins, kind: `${joins.kind} ${asked}`, ms, fuel, costNanos };
}

/** Each of its runs may have it stopped. */
function stoppedOnce(job: Followable): Followable {
  let stopping: ReturnType<Followable["stop"]> | null = null;
  return {
    get lease() {
      return job.lease;
    },
    get isThere() {
      return job.isThere;
    },
    ...{ result: job.result, ended: job.ended, detach: () => job.detach() },
    stop: (options) => (stopping ??= job.stop(options)),
  };
}

/** Of each lease once: several results of a map may be of one. */
function onceEach<T>(of: (lease: string) => Promise<T>): (lease: string) => Promise<T> {
  const known = new Map<string, Promise<T>>();
  return (lease) => {
    const found = known.get(lease) ?? of(lease);
    known.set(lease, found);
    found.catch(() => known.delete(lease));
    return found;
  };
}

/** Before anything is signed: no server that is there does several, or they do not fit together. */
const isApart = (error: unknown): boolean => error instanceof InputError || (error instanceof RefusedError && error.code === "no_match");

async function orderTogether(orders: Orders, plans: readonly MapPlan[], how: MapOrder & { fuelMax: bigint }): Promise<Followable[]> {
  const reads = plans.map((plan) => PLANNED.get(plan)!);
  let isSigned = false;
  const onSigned = async (order: string): Promise<void> => {
    isSigned = true;
    await how.onSigned(order);
  };
  try {
    const wanted = { ...orderedBy(reads[0]!.wanted, how), fuelMax: how.fuelMax };
    const { job, taken } = await orders.orderTogether(reads, wanted, { onSigned, signal: how.signal });
    const shared = stoppedOnce(job);
    return plans.map((_, index) => partJob(shared, index, taken));
  } catch (error) {
    throw isSigned || !isApart(error) ? error : new ApartError("they are ordered one by one", { cause: error });
  }
}
