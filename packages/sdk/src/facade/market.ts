/**
 * A market as its customer's program uses it: search, quote, run, follow, verify. The part that is the same on every machine; what reads
 * files and keeps what was signed is handed in. Who controls the inputs: the program that calls; the broker, every byte of its answers.
 */
import { runsAlike } from "@xenoservers/market";
import { preparationProblem, zReceipt, type EventView, type LeaseView, type OfferView, type RouteReply } from "@xenoservers/protocol";
import { verifyReceipt, type OwnFacts, type ReceiptVerification } from "@xenoservers/verify";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { ContextError, GivenUpError, InputError, KeptError } from "../errors.ts";
import { channelKeyFor } from "../identity.ts";
import { totalsByLabel, type LabelTotals } from "../label-totals.ts";
import { eventsOf, listOf, type Reading } from "../lists.ts";
import { driverOf, type Quoted, type Wanted } from "../order.ts";
import { dueAudits } from "../audit-due.ts";
import { placeOrder, placeReplicas } from "../placing.ts";
import { ReplicasRun } from "../replicas.ts";
import type { WhileWaiting } from "../waiting.ts";
import { BrokenPurchaseOrder, fetchBound, type BoundOrder } from "../purchase-order.ts";
import { quotesFor, settleWanted } from "../quoting.ts";
import { fetchReceipt } from "../receipt.ts";
import { moduleSizeOf } from "../runtimes.ts";
import { withdrawOrder } from "../withdrawing.ts";
import { conditionsIn } from "../words.ts";
import { untilEndedWell } from "./after.ts";
import { assertWanted, unlessOff } from "./calling-off.ts";
import { auditDue, disputeLease, type Audited, type Dispute, type DisputeOptions, type TracerOf } from "./doubting.ts";
import type { Here, Planned } from "./here.ts";
import { Job, type Came } from "./job.ts";
import type { JobResult } from "./job-result.ts";
import { keptRunText } from "./kept-run.ts";
import { MapRun } from "./map/map-run.ts";
import { mapWays, type Orders } from "./map/market-ways.ts";
import { mapSettingsOf, placed, type MapOptions } from "./map/options.ts";
import { assertRunInput, isReplicated, toldHere, waitMsOf } from "./read-input.ts";
import { ReplicatedJob, type ReplicasInput } from "./replicated-job.ts";
import { resultAgain, reusable } from "./reuse.ts";
import type { RunInput } from "./run-input.ts";
import { plannedDigest, workDigest } from "./same-work.ts";
import { SharedLink, type Opened } from "./shared-link.ts";
import type { SessionHandlers } from "../session/lease-session.ts";

/** A call that can be called off. */
export interface Callable {
  signal?: AbortSignal;
}

/** In which order, and how many. */
export interface SearchOptions extends Callable {
  order?: "price" | "cost-per-work";
  on?: "mine" | "market";
  limit?: number;
}

/** What is on offer, cheapest first. */
export interface Found {
  offers: OfferView[];
  /** How many servers each condition left out. */
  excluded: Readonly<Record<string, number>>;
  /** The same in words. */
  explanation: string;
}

interface Read {
  planned: Planned;
  /** With its label and account. */
  wanted: Wanted;
}

interface Ready extends Read {
  quoted: Quoted;
  work: BuiltWork;
}

const FOUND_MAX = 200;
const RECEIPT_WITHIN_MS = 5_000;

/** A market that was connected to. */
export class OpenMarket {
  /** What signs and sends for this program: for what has no method here. */
  readonly client: MarketClient;
  /** What this machine does for it. */
  readonly here: Here;
  readonly #link: SharedLink;
  readonly #jobs = new Set<Job | ReplicatedJob>();
  readonly #hears = (ring: () => void): (() => void) => this.#link.hears(ring);

  constructor(client: MarketClient, here: Here) {
    this.client = client;
    this.here = here;
    this.#link = new SharedLink(client);
  }

  /** Servers on offer: `market.search("cpu>=2 mem>=4G region=eu")`. */
  async search(conditions = "", { order = "price", on = "market", limit = 20, signal }: SearchOptions = {}): Promise<Found> {
    conditionsIn(conditions, "");
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= FOUND_MAX)) throw new InputError(`limit is a number from 1 to ${FOUND_MAX}`);
    const reading = this.client.read("offers", { query: { q: conditions, order, on, limit }, signal });
    const { offers, excluded, explanation } = await unlessOff(signal, reading);
    return { offers, excluded, explanation };
  }

  /** The cheapest offer that a run would be placed on now, and what it would cost at most. Nothing is signed. */
  async quote(input: RunInput | ReplicasInput): Promise<Quoted> {
    return (await this.#ready(await this.#read(input), input.signal)).quoted;
  }

  /** Orders the same job on servers of several owners, whose signed results are compared, and judged where they differ. */
  run(input: ReplicasInput): Promise<ReplicatedJob>;
  /**
   * Orders a run, after others where it is to come `after` them: resolves when a server was found, which it may wait for (`wait`), and the
   * purchase order checked.
   */
  run(input: RunInput): Promise<Job>;
  /** With `replicas` the one, else the other. */
  async run(input: RunInput | ReplicasInput): Promise<Job | ReplicatedJob> {
    this.#assertMay("spend", "read");
    assertRunInput(input);
    const { signal, onPlace, after } = input;
    if (after) await untilEndedWell(this.client, after, signal ? { signal } : {});
    const { planned, wanted, work } = await this.#ready(await this.#read(input), signal);
    if (isReplicated(input)) return this.#runReplicas(input, { planned, wanted }, work);
    const bound = await this.#place(wanted, work, signal, {
      ...{ hears: this.#hears, ...(signal ? { signal } : {}), ...(onPlace ? { onPlace } : {}) },
    });
    if (!signal?.aborted) return this.#follow(bound, work, planned.writes ? planned : null, input);
    // the order was sent before, so that it is known now what to withdraw
    const left = await withdrawOrder(this.client, { order: bound.order.id, lease: bound.po.id }, "its customer has called it off");
    throw new GivenUpError(bound.po.id, left, signal.reason);
  }

  /**
   * Runs a job for each input, so many at once within one budget: results come in order, `for await (const { ok, result } of
   * market.map(…))`, or all together, `await market.map(…).all`. Nothing begins before it is read. A template has each input, a text or
   * number, in place of `{}` in its arguments, or behind them.
   */
  map<T>(inputs: Iterable<T>, each: RunInput | ((input: T, index: number) => RunInput), options: MapOptions = {}): MapRun<T> {
    const settings = mapSettingsOf(options);
    this.#assertMay("spend", "read");
    const made = typeof each === "function" ? each : (input: T): RunInput => placed(each, input);
    return new MapRun(mapWays(this.#orders()), [...inputs], made, settings);
  }

  /**
   * What the same work came to earlier, where its receipt holds and every byte of it is kept here; null: it has to be run. Nothing is
   * ordered and nothing is due. For modules and scripts that ended with exit code 0, on terms that are asked for now, too.
   */
  async earlier(input: RunInput): Promise<JobResult | null> {
    const { planned, wanted } = await this.#read(input);
    return this.#earlier(planned, wanted);
  }

  /** Follows a lease from its first output on, also one that another program ordered with this key: after a crash nothing is lost. */
  async attach(lease: string, watching: Pick<RunInput, "signal" | "onState" | "onSent"> = {}): Promise<Job> {
    const bound = await this.bound(lease, watching.signal);
    const work = await this.#keptJob(bound);
    assertWanted(watching.signal);
    return this.#follow(bound, work, null, watching);
  }

  /** The caller's leases, newest first. */
  leases({ live = false, signal }: Callable & { live?: boolean } = {}): AsyncGenerator<LeaseView, void> {
    return listOf(this.#reading(signal), "leases", { live: live ? "true" : "false" });
  }

  /** What the leases that the caller ordered came to, by label: how many, how many failed, work, time and cost; dearest first. */
  labels({ signal }: Callable = {}): Promise<LabelTotals[]> {
    return unlessOff(signal, totalsByLabel(this.leases(signal ? { signal } : {}), this.client.identity.party));
  }

  /** One lease, by the first letters of its id. */
  lease(id: string, { signal }: Callable = {}): Promise<LeaseView> {
    return unlessOff(signal, this.client.read("lease", { params: { id }, signal }));
  }

  /** What has happened to the caller's leases, each event once and in order; without a signal as far as there are any now. */
  events({ after = null, signal }: Callable & { after?: string | null } = {}): AsyncGenerator<EventView, void> {
    return eventsOf(this.client, { after, ...(signal ? { until: signal } : {}) });
  }

  /** What the caller's accounts hold. */
  accounts({ signal }: Callable = {}): Promise<RouteReply<"accounts">> {
    return unlessOff(signal, this.client.read("accounts", { signal }));
  }

  /**
   * Checks a receipt line by line: one that is handed in, a file, or that of a lease, which is fetched and kept. It holds where `ok` is
   * true; each line says whether it is proved or one party's word.
   */
  async verify(receipt: unknown, { signal }: Callable = {}): Promise<ReceiptVerification> {
    return this.verified(await this.found(receipt, signal), {});
  }

  /** The audits that the log drew for the caller's leases, and that nobody has followed up while there is time. */
  audits({ signal }: Callable = {}): Promise<LeaseView[]> {
    return unlessOff(signal, dueAudits(this.client, null));
  }

  /** Follows a drawn audit up: the market's referee runs the job again, and a wrong result costs its owner the stake. */
  async audit(lease: string | LeaseView, { signal }: Callable = {}): Promise<Audited> {
    this.#assertMay("dispute", "spend", "read");
    return auditDue(this, lease, signal);
  }

  /** Has a doubted result judged by the market's referee, which runs the job, or the part of it where states part. */
  async dispute(lease: string, options: DisputeOptions = {}): Promise<Dispute> {
    return this.disputed(lease, options, null);
  }

  protected disputed(lease: string, options: DisputeOptions, tracerOf: TracerOf | null): Promise<Dispute> {
    this.#assertMay("dispute", "spend", "read");
    return disputeLease(this, lease, options, tracerOf);
  }

  /** Handed in, in a file, or that of a lease. */
  protected async found(receipt: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    return typeof receipt === "string" ? unlessOff(signal, this.here.keptReceipt(receipt, this.client)) : receipt;
  }

  protected async verified(found: unknown, own: Pick<OwnFacts, "reExecuted">): Promise<ReceiptVerification> {
    const lease = zReceipt.shape.lease.safeParse(typeof found === "object" && found !== null ? Reflect.get(found, "lease") : null).data;
    const documents = lease === undefined ? [] : await this.here.signedAbout(lease, this.client.pins.origin);
    return verifyReceipt(this.client.crypto, this.client.pins, found, { ...own, documents, party: this.client.identity.party });
  }

  /** Lets go of everything that is followed: leases run on. */
  close(): void {
    for (const job of this.#jobs) job.detach();
  }

  /** A lease's purchase order, checked, where this key can open its channel. */
  protected async bound(id: string, signal: AbortSignal | undefined): Promise<BoundOrder> {
    this.#assertMay("read");
    const lease = await this.lease(id, signal ? { signal } : {});
    const bound = await unlessOff(signal, fetchBound(this.client, lease.id));
    if (channelKeyFor(this.client.identity, bound.order.payload.channelKey)) return bound;
    throw new ContextError(`lease ${lease.id} was ordered by another key, and only that one can open its channel`);
  }

  protected open(bound: BoundOrder, work: BuiltWork | null, handlers: SessionHandlers, from?: { stdout: number; stderr: number }): Opened {
    return this.#link.open(bound, work, handlers, from);
  }

  #assertMay(...needs: ("read" | "spend" | "dispute")[]): void {
    const missing = needs.filter((scope) => !this.client.identity.scopes.includes(scope));
    if (missing.length > 0) throw new ContextError(`this takes a key that may ${missing.join(" and ")}; this one may not`);
  }

  #reading(signal: AbortSignal | undefined): Reading {
    return {
      read: (name, request) => unlessOff(signal, this.client.read(name, { ...request, signal })),
      sleep: (ms) => unlessOff(signal, this.client.sleep(ms)),
    };
  }

  /** What is asked for, settled before anything is looked for. */
  async #read(input: RunInput): Promise<Read> {
    assertRunInput(input);
    const { signal } = input;
    const waitMs = waitMsOf(input);
    assertWanted(signal);
    const planned = await unlessOff(signal, this.here.plan(input));
    const settling = settleWanted(this.client, planned.wanted, input.account ?? null, signal);
    const wanted = await unlessOff(signal, settling).catch(toldHere);
    return { planned, wanted: waitMs === null ? wanted : { ...wanted, waitMs } };
  }

  /** Everything else before the order. */
  async #ready({ planned, wanted }: Read, signal: AbortSignal | undefined): Promise<Ready> {
    const [quoted] = await unlessOff(signal, quotesFor(this.client, wanted, signal));
    const work = planned.build(quoted.offer);
    assertPrepared(work, quoted);
    return { planned, wanted, quoted, work };
  }

  /** Null where it is not kept here: then it is followed all the same. */
  async #keptJob({ order }: BoundOrder): Promise<BuiltWork | null> {
    return this.here.keptJob(order.payload.jobHash).catch((error: unknown) => {
      if (error instanceof KeptError) return null;
      throw error;
    });
  }

  #place(wanted: Wanted, work: BuiltWork, signal: AbortSignal | undefined, waiting: WhileWaiting = {}): Promise<BoundOrder> {
    return this.#placed(work, signal, () => placeOrder(this.client, wanted, work.jobHash, waiting));
  }

  /** Kept here before it is ordered. */
  async #placed<T>(work: BuiltWork, signal: AbortSignal | undefined, place: () => Promise<T>): Promise<T> {
    await this.here.keepJob(work);
    assertWanted(signal);
    try {
      return await place();
    } catch (error) {
      if (error instanceof BrokenPurchaseOrder) await this.here.keepBroken(error, this.client);
      throw error;
    }
  }

  async #earlier(planned: Planned, wanted: Wanted): Promise<JobResult | null> {
    if (!runsAlike(driverOf(wanted), wanted.assurance)) return null;
    const digest = plannedDigest(this.client.crypto, planned);
    const found = await reusable(this.client, this.here.runs, { digest, wanted, wantsFiles: true });
    return found && resultAgain(found, planned.writes ? planned.write : null);
  }

  #orders(): Orders {
    return {
      ...{ client: this.client, here: this.here },
      read: (input) => {
        if (isReplicated(input)) throw new InputError("replicas is for market.run: a map runs each job once");
        return this.#read(input);
      },
      earlier: ({ planned, wanted }) => this.#earlier(planned, wanted),
      order: async ({ planned, wanted }, waiting) => {
        const { work } = await this.#ready({ planned, wanted }, waiting.signal);
        const bound = await this.#place(wanted, work, waiting.signal, { hears: this.#hears, ...waiting });
        return this.#follow(bound, work, planned.writes ? planned : null, {});
      },
      follow: async (lease, planned) => {
        const bound = await this.bound(lease, undefined);
        const work = await this.#keptJob(bound);
        return this.#follow(bound, work, planned.writes ? planned : null, {});
      },
      verify: (lease) => this.verify(lease),
    };
  }

  #follow(
    bound: BoundOrder,
    work: BuiltWork | null,
    writes: Planned | null,
    watching: Pick<RunInput, "signal" | "onState" | "onSent">,
  ): Job {
    const ways = {
      open: (handlers: SessionHandlers) => this.open(bound, work, handlers),
      write: writes && (({ tree }, fetch) => writes.write(tree, fetch)),
      keep: (lease, came) => this.#keep(lease, work, came),
      check: (lease: string) => this.#check(lease),
      over: () => void this.#jobs.delete(job),
    } satisfies ConstructorParameters<typeof Job>[0];
    const job: Job = new Job(ways, watching);
    this.#jobs.add(job);
    return job;
  }

  async #runReplicas(input: ReplicasInput, { planned, wanted }: Read, work: BuiltWork): Promise<ReplicatedJob> {
    const { client } = this;
    const { signal, noAudit = false } = input;
    const bounds = await this.#placed(work, signal, () => placeReplicas(client, wanted, work.jobHash));
    const keep = this.here.keepReceipt.bind(this.here);
    const means = { wantsFiles: true, budgetNanos: wanted.budgetNanos, noAudit, keep };
    const ways = {
      follow: (watch, unjudged) => new ReplicasRun(client, bounds, work, { ...means, watch, signal: unjudged }),
      write: planned.writes ? planned.write : null,
      check: (lease: string) => this.#check(lease),
      over: () => void this.#jobs.delete(job),
    } satisfies ConstructorParameters<typeof ReplicatedJob>[0];
    const job: ReplicatedJob = new ReplicatedJob(ways, bounds.length, input);
    this.#jobs.add(job);
    return job;
  }

  async #keep(lease: string, work: BuiltWork | null, came: Came): Promise<void> {
    const text = work && keptRunText(work, { lease, ...came });
    if (text !== null) await this.here.runs.keep(workDigest(this.client.crypto, work!.spec), text);
  }

  async #check(lease: string): Promise<ReceiptVerification> {
    const receipt = await fetchReceipt(this.client, lease, RECEIPT_WITHIN_MS);
    await this.here.keepReceipt(receipt);
    return this.verify(receipt);
  }
}

/** A module that the budget pays for making ready, and for nothing more, is not ordered. */
function assertPrepared(work: BuiltWork, { quote }: Quoted): void {
  const module = "module" in work.spec ? work.blobs.get(work.spec.module) : undefined;
  const problem = module ? preparationProblem(moduleSizeOf(module), quote.fuelMax) : null;
  if (problem !== null) throw new InputError(`${problem} that the budget pays for: order more (budget)`);
}
