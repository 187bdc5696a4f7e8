/**
 * Replicas: one order for the same job on servers of different owners, drawn by the broker, who commit to their results before any shows
 * one. Nothing is taken before their signed results agree; where they differ the market's referee decides. Each is receipted only once all
 * that it signed is here. Who controls the inputs: the servers (output, results), the broker (views, receipts, verdicts).
 */
import { isAlike } from "@xenoservers/market";
import type { LeaseView, Payload } from "@xenoservers/protocol";
import { resultDifference } from "@xenoservers/verify";
import type { BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { disputeResults, type Judged } from "./dispute.ts";
import { disputeTerms, type DisputeTerms } from "./dispute-terms.ts";
import { NotComparedError, RefusedError } from "./errors.ts";
import type { BoundOrder } from "./purchase-order.ts";
import { readDocuments } from "./receipt.ts";
import { endOf } from "./session/end-of.ts";
import { NotDelivered } from "./session/fetches.ts";
import type { LeaseSession, SessionHandlers } from "./session/lease-session.ts";
import { openSessions } from "./session/open-session.ts";
import { checkResult, type Delivered, type TreeFile } from "./session/result.ts";
import type { Stream } from "./session/streams.ts";
import type { Withdrawn } from "./withdrawn.ts";

const RECEIPT_WITHIN_MS = 10_000;

/** What is told while they run. */
export interface ReplicasWatch {
  onOutput?(slot: number, stream: Stream, bytes: Uint8Array): void | Promise<void>;
  /** Another server runs it, and begins anew: what this one printed before is void. */
  onMoved?(slot: number): void;
  onState?(slot: number, state: string): void;
  /** One is settled, and its receipt kept. */
  onEnded?(lease: LeaseView): void;
  /** Before a referee runs, where one has to. */
  onCompared?(compared: Compared): void;
  onTerms?(terms: DisputeTerms): void;
  onJudged?(judged: Pick<Judged, "segment" | "verdicts">): void;
  /** A drawn audit that nobody could follow up now. */
  onUndone?(error: RefusedError): void;
}

interface ReplicasMeans {
  watch: ReplicasWatch;
  /** Every file is fetched from each; else the output alone proves them. */
  wantsFiles: boolean;
  budgetNanos: bigint;
  /** A drawn audit is left to later. */
  noAudit: boolean;
  /** Its receipt. */
  keep(lease: string): Promise<unknown>;
  signal?: AbortSignal;
}

/** What their signed results say of each other. */
export interface Compared {
  /** So many came to a result. */
  count: number;
  fuel: string;
  /** In words; null where they agree. */
  difference: string | null;
  /** Agreed, and drawn for an audit: owners that are one person would agree on a lie. */
  isDrawn: boolean;
}

/** One whose result stands. */
export interface Standing {
  slot: number;
  lease: LeaseView;
}

/** What they came to together. */
export interface Agreed extends Compared {
  /** By lease: the verdict, null where the referee bears the result out; empty where none judged. */
  verdicts: ReadonlyMap<string, Payload<"verdict"> | null>;
  standing: readonly Standing[];
}

interface Result extends Standing {
  manifest: Payload<"result">;
}

/** Every file that is wanted is fetched from each before it is receipted; which of them are kept is decided when all have shown theirs. */
const proving: NonNullable<SessionHandlers["onResult"]> = async ({ tree }, session) => {
  for (const entry of tree) if (entry.kind === "file") await session.fetch(entry);
};

/** In words, where any of them says something else than the first. */
const differ = ([first, ...others]: readonly Result[]): string | null =>
  others.map(({ manifest }) => first && resultDifference(first.manifest, manifest)).find((each) => typeof each === "string") ?? null;

type FetchFile = (file: Pick<TreeFile, "digest" | "size">) => Promise<Uint8Array>;

/** From the first that hands it over. Throws NotDelivered. */
async function fetchedFrom(sessions: readonly LeaseSession[], file: Parameters<FetchFile>[0]): Promise<Uint8Array> {
  let failure = new NotDelivered("there is no server to fetch it from");
  for (const session of sessions) {
    try {
      return await session.fetch(file);
    } catch (error) {
      if (!(error instanceof NotDelivered)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/** The leases of one order, followed together. */
export class ReplicasRun {
  /** In order of slots. */
  readonly sessions: readonly LeaseSession[];
  readonly #client: MarketClient;
  readonly #bounds: readonly BoundOrder[];
  readonly #job: BuiltWork;
  readonly #means: ReplicasMeans;
  readonly #close: () => void;
  #isClosed = false;

  constructor(client: MarketClient, bounds: readonly BoundOrder[], job: BuiltWork, means: ReplicasMeans) {
    [this.#client, this.#bounds, this.#job, this.#means] = [client, bounds, job, means];
    const { watch, wantsFiles } = means;
    const { sessions, close } = openSessions(client, bounds, job, (slot) => ({
      onOutput: (stream, bytes) => watch.onOutput?.(slot, stream, bytes),
      onMoved: () => watch.onMoved?.(slot),
      onState: (state) => watch.onState?.(slot, state),
      ...(wantsFiles ? { onResult: proving } : {}),
    }));
    [this.sessions, this.#close] = [sessions, close];
  }

  /** Each until it is settled; one that the broker placed under another order, or that never starts, ends the whole: all are given up. */
  async settled(): Promise<LeaseView[]> {
    try {
      return await Promise.all(this.sessions.map(endOf));
    } catch (error) {
      // whoever lets go of them here lets them run on
      if (!this.#isClosed) await this.withdraw("another replica of its order has failed");
      throw error;
    }
  }

  /** Their results are worth nothing one by one: all of them are given up, those that run as well as those that nobody has taken yet. */
  withdraw(reason: string): Promise<Withdrawn[]> {
    return Promise.all(this.sessions.map((session) => session.withdraw(reason)));
  }

  /** Keeps their receipts, compares what was signed, and has a referee judge where that has to be. Throws NotComparedError. */
  async compared(ended: readonly LeaseView[]): Promise<Agreed> {
    const { watch, noAudit } = this.#means;
    const results: Result[] = [];
    for (const [slot, lease] of ended.entries()) {
      const manifest = await this.#manifestOf(slot, lease.id);
      watch.onEnded?.(lease);
      if (manifest) results.push({ slot, lease, manifest });
    }
    const [first, ...others] = results;
    if (!first || others.length === 0)
      throw this.#nothing(`only ${results.length} of ${ended.length} replicas came to a result: nothing to compare; run it again`);
    const difference = differ(results);
    const isDrawn = difference === null && !noAudit && ended.some(({ end }) => end?.audited === true);
    const compared = { count: results.length, fuel: first.manifest.fuel, difference, isDrawn };
    watch.onCompared?.(compared);
    if (difference === null && !isDrawn) return { ...compared, verdicts: new Map(), standing: results };
    return this.#judged(results, first.slot, compared);
  }

  /**
   * The first of those that stand whose bytes are what it signed: a server may sign the right digests and send other bytes. Its files come
   * from whichever of them still has them: one that is paid may be gone.
   */
  async delivered(standing: readonly Standing[]): Promise<Standing & { delivered: Delivered; fetch: FetchFile }> {
    for (const { slot, lease } of standing) {
      const delivered = (await this.sessions[slot]?.delivered()) ?? null;
      if (delivered === null) continue;
      const slots = [slot, ...standing.map((other) => other.slot).filter((other) => other !== slot)];
      const sessions = slots.flatMap((each) => this.sessions[each] ?? []);
      return { slot, lease, delivered, fetch: (file) => fetchedFrom(sessions, file) };
    }
    throw this.#nothing(
      "no server delivered the output that it signed: nothing is shown; object (`xeno lease object`), or have it judged (`xeno dispute`)",
    );
  }

  /** Lets go of all of them. */
  close(): void {
    this.#isClosed = true;
    this.#close();
  }

  #nothing(message: string): NotComparedError {
    return new NotComparedError(
      this.sessions.map(({ lease }) => lease),
      message,
    );
  }

  /** What its own server signed for this lease; a broker that shows another's could make any two agree. */
  async #manifestOf(slot: number, lease: string): Promise<Payload<"result"> | null> {
    const { documents } = await readDocuments(this.#client, lease, RECEIPT_WITHIN_MS);
    // what it signed is here: a receipt that cannot be kept now is fetched when it is looked for
    await this.#means.keep(lease).catch(() => {});
    const bound = this.sessions[slot]?.bound;
    const stored = documents.find(({ kind }) => kind === "result");
    const checked = bound && stored && checkResult(bound, stored.envelope);
    return checked?.ok && isAlike(checked.document.payload) ? checked.document.payload : null;
  }

  /** Those that the referee bears out; one run of it judges them all. An audit of what agrees may be left undone. */
  async #judged(results: readonly Result[], slot: number, compared: Compared): Promise<Agreed> {
    const { watch, budgetNanos, signal } = this.#means;
    const order = this.#bounds[slot]?.order.payload;
    if (!order) throw this.#nothing("there is no order for what is to be judged");
    const leases = results.map(({ lease }) => lease.id);
    try {
      watch.onTerms?.(await disputeTerms(this.#client, leases, order, this.#job, budgetNanos, false));
      const judged = await disputeResults(this.#client, leases, order, this.#job, budgetNanos, undefined, signal);
      const { verdicts } = judged;
      watch.onJudged?.(judged);
      const standing = results.filter(({ lease }) => verdicts.get(lease.id) === null);
      if (differ(standing) !== null)
        throw this.#nothing(
          "results that differ from each other are said to be right: no output is shown; the referee may have run too little",
        );
      if (standing.length > 0) return { ...compared, verdicts, standing };
    } catch (error) {
      if (!(error instanceof RefusedError) || !compared.isDrawn) throw error;
      watch.onUndone?.(error);
      return { ...compared, verdicts: new Map(), standing: results };
    }
    throw this.#nothing("the referee bears out none of the replicas: no output is shown; their pay came back to you");
  }
}
