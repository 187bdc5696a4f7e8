/**
 * A market as its customer's program uses it: search, quote, run, follow, verify. The part that is the same on every machine; what reads
 * files and keeps what was signed is handed in. Who controls the inputs: the program that calls; the broker, every byte of its answers.
 */
import type { Scope } from "@xenoservers/market";
import { zReceipt, type EventView, type LeaseView, type OfferView, type RouteReply, type Witness } from "@xenoservers/protocol";
import { verifyReceipt, type OwnFacts, type ReceiptVerification } from "@xenoservers/verify";
import { dueAudits } from "../audit-due.ts";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { ContextError, InputError } from "../errors.ts";
import { channelKeyFor } from "../identity.ts";
import { totalsByLabel, type LabelTotals } from "../label-totals.ts";
import { eventsOf, listOf } from "../lists.ts";
import type { Quoted } from "../order.ts";
import { fetchBound, type BoundOrder } from "../purchase-order.ts";
import { LongReceipt, type ReceiptWatching } from "./long-receipt.ts";
import type { SessionHandlers } from "../session/lease-session.ts";
import { conditionsIn, shortId } from "../words.ts";
import { untilEndedWell } from "./after.ts";
import type { Beyond } from "./beyond.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { Audited, Dispute, DisputeOptions, TracerOf } from "./doubting.ts";
import type { Here, Planned } from "./here.ts";
import type { Job } from "./job.ts";
import type { JobResult } from "./job-result.ts";
import {
  extendLease,
  leaseAsItIs,
  objectTo,
  stopLease,
  type Answer,
  type Extended,
  type ObjectionOptions,
  type StopOptions,
} from "./lease-acts.ts";
import type { MapMeans } from "./map/market-orders.ts";
import type { MapRun } from "./map/map-run.ts";
import type { MapOptions } from "./map/options.ts";
import type { Means } from "./means.ts";
import { Ordering, type PlannedOptions } from "./ordering.ts";
import { PreparedRun, type Prepared } from "./prepared-run.ts";
import { assertRunInput, isReplicated, toldHere } from "./read-input.ts";
import { cancellableReading } from "./reading.ts";
import type { ReplicasInput, ReplicatedJob } from "./replicated-job.ts";
import type { AttachOptions, RunInput } from "./run-input.ts";
import { SharedLink, type Opened } from "./shared-link.ts";
import { Tokens } from "./tokens.ts";
import { Wallet } from "./wallet.ts";

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

const FOUND_MAX = 200;

/** A market that was connected to. */
export class OpenMarket {
  /** What signs and sends for this program: for what has no method here. */
  readonly client: MarketClient;
  /** What this machine does for it. */
  readonly here: Here;
  /** Whose cosignatures prove what the log says; pinned by whoever logged in. */
  protected readonly witnesses: readonly Witness[];
  /** Keys that speak for its party within bounds. */
  readonly tokens: Tokens;
  /** The party's accounts, and what moved in them. */
  readonly wallet: Wallet;
  readonly #beyond: Beyond;
  readonly #link: SharedLink;
  readonly #ordering: Ordering;

  constructor(client: MarketClient, here: Here, beyond: Beyond, witnesses: readonly Witness[] = []) {
    this.client = client;
    this.here = here;
    this.#beyond = beyond;
    this.witnesses = witnesses;
    const means: Means = { client, assertMay: (...needs) => this.assertMay(...needs) };
    [this.tokens, this.wallet] = [new Tokens(means), new Wallet(means)];
    this.#link = new SharedLink(client);
    this.#ordering = new Ordering({ client, here, link: this.#link, beyond, verify: (receipt) => this.verify(receipt) });
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
    return (await this.#prepared(input)).quotes[0];
  }

  /**
   * Everything of a run before its order, once those that it comes `after` are over: what is to run is read, settled and quoted. Nothing
   * is signed; what was quoted can then be ordered as it is, and again. `wait` and `account` hold for its order, what is told meanwhile is
   * for `run`, `start` and `replicas`.
   */
  async prepare(input: RunInput | ReplicasInput): Promise<PreparedRun> {
    this.assertMay("spend");
    assertRunInput(input);
    isReplicated(input);
    await this.#itsTurn(input);
    return this.#ready(await this.#prepared(input));
  }

  /** The same of what a program with words of its own has read: by `workOf` and `plannedOf`. */
  async planned(planned: Planned, options: PlannedOptions = {}): Promise<PreparedRun> {
    return this.#ready(await this.#ordering.ready(await this.#ordering.settled(planned, options), options.signal));
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
    this.assertMay("spend", "read");
    assertRunInput(input);
    const isSeveral = isReplicated(input);
    await this.#itsTurn(input);
    const prepared = await this.#prepared(input);
    return isSeveral ? this.#ordering.replicas(prepared, input) : this.#ordering.order(prepared, input);
  }

  /** Those that it is to come after have ended well. */
  async #itsTurn({ after, signal }: RunInput | ReplicasInput): Promise<void> {
    if (after) await untilEndedWell(this.client, after, signal ? { signal } : {});
  }

  /**
   * Runs a job for each input, so many at once within one budget: results come in order, `for await (const { ok, result } of
   * market.map(…))`, or all together, `await market.map(…).all`. Nothing begins before it is read. A template has each input, a text or
   * number, in place of `{}` in its arguments, or behind them.
   */
  map<T>(inputs: Iterable<T>, each: RunInput | ((input: T, index: number) => RunInput), options: MapOptions = {}): MapRun<T> {
    const ordering = (): MapMeans => {
      this.assertMay("spend", "read");
      const bound = (lease: string): Promise<BoundOrder> => this.bound(lease, undefined);
      return { ordering: this.#ordering, bound, verify: (lease) => this.verify(lease) };
    };
    return this.#beyond.map(ordering, inputs, each, options);
  }

  /**
   * What the same work came to earlier, where its receipt holds and every byte of it is kept here; null: it has to be run. Nothing is
   * ordered and nothing is due. For modules and scripts that ended with exit code 0, on terms that are asked for now, too.
   */
  async earlier(input: RunInput): Promise<JobResult | null> {
    return this.#ordering.earlier(await this.#ordering.read(input));
  }

  /** The same of what was read already. */
  earlierOf(planned: Planned): Promise<JobResult | null> {
    return this.#ordering.earlier({ planned, wanted: planned.wanted });
  }

  /** Follows a lease from its first output on, also one that another program ordered with this key: after a crash nothing is lost. */
  async attach(lease: string, options: AttachOptions = {}): Promise<Job> {
    const { out: _out, leaveFiles: _left, onWarning: _warned, ...watching } = options;
    const place = await this.here.filesPlace(options);
    const bound = await this.bound(lease, watching.signal);
    const work = await this.#ordering.keptJob(bound);
    assertWanted(watching.signal);
    return this.#ordering.follow(bound, work, place, watching);
  }

  /** The caller's leases, newest first. */
  leases({ live = false, signal }: Callable & { live?: boolean } = {}): AsyncGenerator<LeaseView, void> {
    return listOf(cancellableReading(this.client, signal), "leases", { live: live ? "true" : "false" });
  }

  /** What the leases that the caller ordered came to, by label: how many, how many failed, work, time and cost; dearest first. */
  labels({ signal }: Callable = {}): Promise<LabelTotals[]> {
    return unlessOff(signal, totalsByLabel(this.leases(signal ? { signal } : {}), this.client.identity.party));
  }

  /** One lease, by the first letters of its id. */
  lease(id: string, { signal }: Callable = {}): Promise<LeaseView> {
    return leaseAsItIs(this.client, id, signal);
  }

  /** Ends a lease: what it wrote until then is its result. Waits for its end, for two minutes at most; gives how it stands then. */
  async stop(id: string, options: StopOptions = {}): Promise<LeaseView> {
    this.assertMay("control", "read");
    return stopLease(this.client, id, options);
  }

  /** Lets a lease run longer by so much ("1h", or milliseconds): a larger hold is put on its account. */
  async extend(id: string, by: string | number, { signal }: Callable = {}): Promise<Extended> {
    this.assertMay("spend", "read");
    return extendLease(this.client, id, by, signal);
  }

  /** Objects to a settlement, inside its window: a deposit is put down, the owner's pay is frozen, and the operator rules. */
  async object(id: string, options: ObjectionOptions): Promise<Answer> {
    this.assertMay("dispute", "read");
    return objectTo(this.client, id, options);
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
    this.assertMay("dispute", "spend", "read");
    return this.#beyond.audit(this, lease, signal);
  }

  /** Has a doubted result judged by the market's referee, which runs the job, or the part of it where states part. */
  async dispute(lease: string, options: DisputeOptions = {}): Promise<Dispute> {
    return this.disputed(lease, options, null);
  }

  protected disputed(lease: string, options: DisputeOptions, tracerOf: TracerOf | null): Promise<Dispute> {
    this.assertMay("dispute", "spend", "read");
    return this.#beyond.dispute(this, lease, options, tracerOf);
  }

  /** Handed in, in a file, or that of a lease. */
  protected async found(receipt: unknown, signal: AbortSignal | undefined, watching?: ReceiptWatching): Promise<unknown> {
    return typeof receipt === "string" ? unlessOff(signal, this.here.keptReceipt(receipt, this.client, watching)) : receipt;
  }

  protected async verified(found: unknown, own: Pick<OwnFacts, "reExecuted">, signal?: AbortSignal): Promise<ReceiptVerification> {
    const lease = zReceipt.shape.lease.safeParse(typeof found === "object" && found !== null ? Reflect.get(found, "lease") : null).data;
    const documents = lease === undefined ? [] : await this.here.signedAbout(lease, this.client.pins.origin);
    const { crypto, pins, identity } = this.client;
    const known = { ...own, documents, party: identity.party, witnesses: this.witnesses };
    return found instanceof LongReceipt ? found.verified(pins, known, signal) : verifyReceipt(crypto, pins, found, known);
  }

  /** Lets go of everything that is followed: leases run on. */
  close(): void {
    for (const job of this.#ordering.jobs) job.detach();
  }

  /** A lease's purchase order, checked, where this key can open its channel. */
  protected async bound(id: string, signal: AbortSignal | undefined): Promise<BoundOrder> {
    this.assertMay("read");
    const lease = await this.lease(id, signal ? { signal } : {});
    const bound = await unlessOff(signal, fetchBound(this.client, lease.id));
    if (channelKeyFor(this.client.identity, bound.order.payload.channelKey)) return bound;
    const whose = bound.order.payload.party === this.client.identity.party ? "another of your keys" : "another party";
    throw new ContextError(
      `lease ${shortId(lease.id)} was ordered by ${whose}, and only that one can open its channel; use its context (xeno context ls)`,
    );
  }

  protected open(bound: BoundOrder, work: BuiltWork | null, handlers: SessionHandlers, from?: { stdout: number; stderr: number }): Opened {
    return this.#link.open(bound, work, handlers, from);
  }

  /** Throws ContextError. */
  protected assertMay(...needs: Scope[]): void {
    const missing = needs.filter((scope) => !this.client.identity.scopes.includes(scope));
    if (missing.length > 0) throw new ContextError(`this takes a key that may ${missing.join(" and ")}; this one may not`);
  }

  #prepared(input: RunInput | ReplicasInput): Promise<Prepared> {
    return this.#ordering.read(input).then((read) => this.#ordering.ready(read, input.signal).catch(toldHere));
  }

  #ready(prepared: Prepared): PreparedRun {
    const assertMay = (...needs: Scope[]): void => this.assertMay(...needs);
    const order: Ordering["order"] = (...each) => this.#ordering.order(...each);
    const replicas: Ordering["replicas"] = (...each) => this.#ordering.replicas(...each);
    return new PreparedRun({ assertMay, order, replicas }, prepared);
  }
}
