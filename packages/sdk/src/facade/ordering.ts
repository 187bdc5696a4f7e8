/**
 * The steps from a run that is asked for to a job that is followed: read, settled and quoted, kept here, ordered, followed, checked. Who
 * controls the inputs: the program that calls; the broker, every byte of its answers.
 */
import { preparationProblem } from "@xenoservers/protocol";
import type { ReceiptVerification } from "@xenoservers/verify";
import { canBeRun, type BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { GivenUpError, InputError, KeptError } from "../errors.ts";
import type { Quoted, Wanted } from "../order.ts";
import { placeOrder } from "../placing.ts";
import { BrokenPurchaseOrder, type BoundOrder } from "../purchase-order.ts";
import { quotesFor, settleWanted } from "../quoting.ts";
import { moduleSizeOf } from "../runtimes.ts";
import type { SessionHandlers } from "../session/lease-session.ts";
import type { WhileWaiting } from "../waiting.ts";
import { withdrawOrder } from "../withdrawing.ts";
import type { Beyond } from "./beyond.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { FilesPlace, Here, Planned } from "./here.ts";
import { Job, type Came } from "./job.ts";
import type { JobResult } from "./job-result.ts";
import { keptRunText } from "./kept-run.ts";
import { keptRunsTexts } from "./kept-parts.ts";
import type { RunsTaken } from "./map/parts.ts";
import type { Prepared } from "./prepared-run.ts";
import { assertRunInput, toldHere, waitMsOf } from "./read-input.ts";
import type { ReplicatedJob, ReplicasWatching } from "./replicated-job.ts";
import type { RunInput, Watching } from "./run-input.ts";
import { workDigest } from "./same-work.ts";
import type { SharedLink } from "./shared-link.ts";
import { writeOf } from "./write-of.ts";

/** A run that was read, with its label and account. */
export interface Read {
  planned: Planned;
  wanted: Wanted;
}

/** How a run that was read is ordered. */
export interface PlannedOptions {
  /** By its id, or its name; absent: the usual one. */
  account?: string | undefined;
  /** Where the market is full, the order waits for room for so long; absent: refused as `busy`. */
  waitMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Whose market it is. */
interface OrderingMeans {
  client: MarketClient;
  here: Here;
  link: SharedLink;
  beyond: Beyond;
  verify(receipt: unknown): Promise<ReceiptVerification>;
}

const RECEIPT_WITHIN_MS = 5_000;

export class Ordering {
  /** Followed now. */
  readonly jobs = new Set<Job | ReplicatedJob>();
  readonly client: MarketClient;
  readonly here: Here;
  readonly #link: SharedLink;
  readonly #beyond: Beyond;
  readonly #verify: OrderingMeans["verify"];
  readonly #hears = (ring: () => void): (() => void) => this.#link.hears(ring);

  constructor({ client, here, link, beyond, verify }: OrderingMeans) {
    this.client = client;
    this.here = here;
    this.#link = link;
    this.#beyond = beyond;
    this.#verify = verify;
  }

  /** What is asked for, settled before anything is looked for. */
  async read(input: RunInput): Promise<Read> {
    assertRunInput(input);
    const { signal, account } = input;
    const waitMs = waitMsOf(input);
    assertWanted(signal);
    const planned = await unlessOff(signal, this.here.plan(input));
    return this.settled(planned, { account, waitMs: waitMs ?? undefined, signal }).catch(toldHere);
  }

  /** With the label and the account that it is ordered under. */
  async settled(planned: Planned, { account, waitMs, signal }: PlannedOptions): Promise<Read> {
    const wanted = await unlessOff(signal, settleWanted(this.client, planned.wanted, account ?? null, signal));
    return { planned, wanted: waitMs === undefined ? wanted : { ...wanted, waitMs } };
  }

  /** Everything else before the order. */
  async ready({ planned, wanted }: Read, signal: AbortSignal | undefined): Promise<Prepared> {
    const quotes = await unlessOff(signal, quotesFor(this.client, wanted, signal));
    const work = planned.build(quotes[0].offer);
    assertPrepared(work, quotes[0]);
    return { planned, wanted, quotes, work };
  }

  /** The lease that its order comes to. */
  place({ wanted, work }: Prepared, waiting: WhileWaiting): Promise<BoundOrder> {
    return this.#placed(work, waiting.signal, () => placeOrder(this.client, wanted, work.jobHash, { hears: this.#hears, ...waiting }));
  }

  /** The order, and the job that it comes to. */
  async order(prepared: Prepared, watching: Watching): Promise<Job> {
    const { signal, onPlace, onLease } = watching;
    const bound = await this.place(prepared, { signal, onPlace });
    if (signal?.aborted) {
      // the order was sent before, so that it is known now what to withdraw
      const left = await withdrawOrder(this.client, { order: bound.order.id, lease: bound.po.id }, "its customer has called it off");
      throw new GivenUpError(bound.po.id, left, signal.reason);
    }
    await this.#told(bound, onLease);
    return this.follow(bound, prepared.work, prepared.planned, watching);
  }

  /** A program that cannot take its lease's id could not stop it: nothing of it runs on. */
  async #told({ order, po }: BoundOrder, onLease: Watching["onLease"]): Promise<void> {
    try {
      onLease?.(po.id);
    } catch (cause) {
      const left = await withdrawOrder(this.client, { order: order.id, lease: po.id }, "its customer's program failed");
      throw new GivenUpError(po.id, left, cause);
    }
  }

  /** `place`: where its files come to; `taken`: of a lease of several runs, what takes them there. */
  follow(bound: BoundOrder, work: BuiltWork | null, place: FilesPlace, watching: Watching, taken: RunsTaken | null = null): Job {
    const ways = {
      open: (handlers: SessionHandlers) => this.#link.open(bound, work, handlers),
      write: writeOf(place),
      keep: (lease, came) => (taken ? this.#keepRuns(lease, work, taken, came) : this.#keep(lease, work, came)),
      printedTimes: taken?.count ?? 1,
      check: (lease: string) => this.#check(lease, watching),
      audit: (drawn, lease, order, signal) => {
        const kept = async (): Promise<BuiltWork> => work ?? this.here.keptJob(order.jobHash);
        return this.#beyond.followUp(this.client, drawn, lease, { order, job: kept, signal });
      },
      over: () => void this.jobs.delete(job),
    } satisfies ConstructorParameters<typeof Job>[0];
    const job: Job = new Job(ways, watching);
    this.jobs.add(job);
    return job;
  }

  replicas(prepared: Prepared, watching: ReplicasWatching): Promise<ReplicatedJob> {
    const { client, here, jobs } = this;
    const placed = (place: () => Promise<BoundOrder[]>): Promise<BoundOrder[]> => this.#placed(prepared.work, watching.signal, place);
    const check = (lease: string): Promise<ReceiptVerification> => this.#check(lease, watching);
    return this.#beyond.replicas({ client, here, jobs, placed, check }, prepared, watching);
  }

  /** Null where it is not kept here: then it is followed all the same. */
  async keptJob({ order }: BoundOrder): Promise<BuiltWork | null> {
    return this.here.keptJob(order.payload.jobHash).catch((error: unknown) => {
      if (error instanceof KeptError) return null;
      throw error;
    });
  }

  /** What the same work came to; null: it has to be run. */
  earlier(read: Read): Promise<JobResult | null> {
    return this.#beyond.earlier(this.client, this.here.runs, read);
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

  async #keep(lease: string, work: BuiltWork | null, came: Came): Promise<void> {
    const text = work && keptRunText(work, { lease, ...came });
    if (text !== null) await this.here.runs.keep(workDigest(this.client.crypto, work!.spec), text);
  }

  async #keepRuns(lease: string, work: BuiltWork | null, { list }: RunsTaken, came: Came): Promise<void> {
    const texts = work !== null && canBeRun(work) && list !== null ? keptRunsTexts(this.client.crypto, work, { lease, list, ...came }) : [];
    for (const { digest, text } of texts) await this.here.runs.keep(digest, text);
  }

  async #check(lease: string, { receiptWaitMs = RECEIPT_WITHIN_MS, onReceipt }: Watching): Promise<ReceiptVerification> {
    return this.#verify(await this.here.keepReceipt(this.client, lease, receiptWaitMs, { onProgress: onReceipt }));
  }
}

/** A module that the budget pays for making ready, and for nothing more, is not ordered. */
function assertPrepared(work: BuiltWork, { quote }: Quoted): void {
  const module = "module" in work.spec ? work.blobs.get(work.spec.module) : undefined;
  const problem = module ? preparationProblem(moduleSizeOf(module), quote.fuelMax) : null;
  if (problem !== null) throw new InputError(`${problem} that the budget pays for: order more (--budget)`);
}
