/**
 * One job of a map, from its line in the journal to its result: what an earlier call ordered is followed, what is over is taken from where
 * it is kept, the rest is ordered. An order stands in the journal before it is sent, its lease as soon as it is known, its result before
 * it is over. Who controls the inputs: the broker and the servers (what became of it).
 */
import type { EndReason } from "@xenoservers/market";
import { isWorthRetrying } from "../../worth-retrying.ts";
import { LeftUndoneError, MarketError } from "../../errors.ts";
import type { JobResult } from "../job-result.ts";
import type { Away } from "./away.ts";
import type { MapBudget } from "./budget.ts";
import type { EarlierOrders } from "./earlier-orders.ts";
import type { Followed } from "./followed.ts";
import type { JournalEntry, MapJournal } from "./journal.ts";
import type { MapPurse } from "./purse.ts";
import type { Tries } from "./tries.ts";
import type { Pace } from "./pace.ts";
import type { Seat } from "./seats.ts";
import { ApartError, type Followable, type MapPlan, type MapWays } from "./ways.ts";

/** All jobs of a map share it. */
export interface MapShared {
  ways: MapWays;
  journal: MapJournal;
  budget: MapBudget;
  purse: MapPurse;
  /** Ends all of them. */
  fail(error: unknown): never;
  /** Given when nothing is ordered any more. */
  off: AbortSignal;
  followed: Followed;
  tries: Tries;
  pace: Pace;
  away: Away;
  earlier: EarlierOrders;
  /** Leases whose results cannot be right. */
  doubted: Set<string>;
}

export interface Ran {
  result: JobResult;
  isEarlier: boolean;
}

const AGAIN_MS = 1_000;
const lacksFunds = (error: unknown): boolean => error instanceof MarketError && error.code === "insufficient_funds";

export class MapTask {
  readonly #shared: MapShared;
  readonly #plan: MapPlan;
  readonly #entry: JournalEntry;
  readonly #seat: Seat;
  /** What of the budget is held for it. */
  #heldNanos = 0n;
  /** The map's one hold that this is of; null: it is a hold of its own. */
  #drawnOn: string | null = null;
  /** The map's hold was put together with the account's money for it: once for each job. */
  #isRenewed = false;
  /** As what its order was counted when nothing was held for it any more; null: it was not. */
  #countedNanos: bigint | null = null;
  /** The order that this call has signed last: no earlier one's. */
  #signed: string | null = null;

  constructor(shared: MapShared, plan: MapPlan, entry: JournalEntry, seat: Seat) {
    this.#shared = shared;
    this.#plan = plan;
    this.#entry = entry;
    this.#seat = seat;
  }

  /**
   * Throws MarketError where it comes to no result, LeftUndoneError where it is not ordered. `ended` is called once nothing of it runs at a
   * server any more, or will: its receipt is checked after that.
   */
  async run(retries: number, ended: () => void): Promise<Ran> {
    if (this.#entry.isOver) return { result: await this.#earlier(), isEarlier: true };
    for (let left = retries; ;) {
      // what an earlier call left, and was stopped or failed by no fault of its customer's, is no try of this one
      const goesOn = (reason: EndReason, isEarlier: boolean): boolean =>
        !this.#isOff && (isEarlier ? !isFinal(reason) : left > 0 && isWorthRetrying(reason));
      try {
        const ran = await this.#shared.tries.run((placed) =>
          this.#try(placed, (reason, isEarlier) => {
            if (!goesOn(reason, isEarlier)) ended();
          }),
        );
        if (isLeftOut(ran.result) && !this.#isOff) {
          if (ran.result.run?.state === "wrong") this.#doubts(ran.result);
          if (ran.result.run?.state !== "anew") this.#seat.alone();
          continue;
        }
        if (!goesOn(ran.result.end.reason, ran.isEarlier)) return ran;
        if (!ran.isEarlier) left--;
      } catch (error) {
        if (error instanceof ApartError && !this.#isOff) {
          this.#seat.alone();
          continue;
        }
        if (!this.#isOff && (await this.#shared.away.passes(error, (text) => this.#plan.warn(text)))) continue;
        // what is missing may be held for others of this map
        if (!this.#isOff && lacksFunds(error) && ((await this.#shared.tries.oneIsOver()) || (await this.#putTogether()))) continue;
        if (!(left > 0 && error instanceof MarketError && error.retryable) || error instanceof LeftUndoneError || this.#isOff) throw error;
        left--;
        await this.#shared.ways.sleep(AGAIN_MS);
      }
    }
  }

  /** Whoever signs what cannot be so gets no lease of several any more from this map; said once for each. */
  #doubts({ lease, detail }: JobResult): void {
    const { pace, doubted } = this.#shared;
    pace.off();
    if (doubted.has(lease)) return;
    doubted.add(lease);
    this.#plan.warn(
      `lease ${lease} has a wrong result, for which a referee takes its pay back (dispute): it ${detail}; its inputs run anew`,
    );
  }

  /** What is missing may be in part the account's, and in part the map's hold. False: it is not, or was put together before. */
  async #putTogether(): Promise<boolean> {
    if (this.#isRenewed) return false;
    const came = await this.#shared.purse.renew().catch(async (error: unknown) => {
      if (!(error instanceof MarketError)) throw error;
      return (await this.#shared.away.passes(error, (text) => this.#plan.warn(text))) ? "away" : null;
    });
    this.#isRenewed = came === "anew";
    return came !== null;
  }

  get #isOff(): boolean {
    return this.#shared.off.aborted;
  }

  async #earlier(): Promise<JobResult> {
    const { journal, ways } = this.#shared;
    const { lease } = this.#entry;
    const kept = await journal.result(this.#entry);
    // files that came to elsewhere are brought again
    const isHere = kept !== null && (kept.files.length === 0 || this.#entry.out === this.#plan.out);
    if (isHere) return { ...kept, verification: await ways.verify(kept.lease) };
    if (lease === null) throw new LeftUndoneError("its result is not kept here any more, nor which lease it was");
    return this.#shared.followed.result(await this.#plan.follow(lease, this.#entry.run), true);
  }

  async #try(placed: () => void, ended: (reason: EndReason, isEarlier: boolean) => void): Promise<Ran> {
    try {
      const earlier = await this.#underWay();
      const isEarlier = earlier !== null && this.#entry.order !== this.#signed;
      const job = earlier === null ? await this.#order() : await this.#plan.follow(earlier, this.#entry.run);
      this.#entry.lease = job.lease;
      this.#shared.away.answered();
      placed();
      void job.ended.then(
        ({ end }) => end && ended(end.reason, isEarlier),
        () => {},
      );
      await this.#shared.journal.save(this.#entry);
      const result = await this.#shared.followed.result(job, isEarlier);
      await this.#paid(result);
      return { result, isEarlier };
    } catch (error) {
      if (!this.#isOff) await this.#failed(error);
      throw error;
    } finally {
      // what is let go of may still cost all of it
      this.#settle(this.#heldNanos);
    }
  }

  /** Of the order that an earlier call or try has signed, which lease it came to. */
  async #underWay(): Promise<string | null> {
    const { order } = this.#entry;
    if (order === null) return null;
    this.#holdAgain();
    this.#entry.lease = await this.#shared.ways.leaseOf(order);
    if (this.#entry.lease !== null) return this.#entry.lease;
    this.#settle(0n);
    await this.#shared.journal.forget(this.#entry);
    return null;
  }

  /** What its order may cost is held since an earlier call, or was counted when this one could not follow it. */
  #holdAgain(): void {
    const heldNanos = BigInt(this.#entry.holdNanos);
    const countedNanos = this.#countedNanos ?? this.#shared.earlier.take(this.#entry);
    if (countedNanos !== null) this.#count(-heldNanos, -countedNanos);
    [this.#heldNanos, this.#countedNanos] = [heldNanos, null];
  }

  async #order(): Promise<Followable> {
    const { journal, off, purse, fail } = this.#shared;
    const { account } = this.#plan;
    await purse.open(account).catch(fail);
    const holdNanos = await this.#seat.hold();
    [this.#heldNanos, this.#countedNanos] = [holdNanos ?? 0n, null];
    if (off.aborted) throw new LeftUndoneError("it was not ordered: the map was called off");
    if (holdNanos === null) throw new LeftUndoneError("the budget for all is used up: what is left of it is less than one job may cost");
    const batch = purse.take(account, holdNanos);
    this.#drawnOn = batch;
    return this.#seat.order({
      ...{ holdNanos, batch, signal: off },
      onSigned: async (order, run) => {
        this.#signed = order;
        Object.assign(this.#entry, { order, lease: null, run, holdNanos: holdNanos.toString() });
        await journal.save(this.#entry);
      },
    });
  }

  async #paid(result: JobResult): Promise<void> {
    const { journal } = this.#shared;
    const { dueNanos } = result.bill;
    this.#settle(dueNanos);
    const paidNanos = (BigInt(this.#entry.paidNanos) + dueNanos).toString();
    if (isFinal(result.end.reason) && !isLeftOut(result)) {
      await journal.keep(this.#entry, result);
      Object.assign(this.#entry, { lease: result.lease, paidNanos, isOver: true, out: this.#plan.out });
    } else Object.assign(this.#entry, { order: null, lease: null, run: null, holdNanos: "0", paidNanos });
    await journal.save(this.#entry);
  }

  /** What comes to no result: an order that costs nothing is forgotten, another stays in the journal, to be followed by a later call. */
  async #failed(error: unknown): Promise<void> {
    const { journal, ways } = this.#shared;
    if (await this.#isFree(error)) {
      this.#settle(0n);
      if (this.#entry.order !== null) await journal.forget(this.#entry);
      return;
    }
    const due = this.#entry.lease === null ? null : await ways.dueOf(this.#entry.lease).catch(() => null);
    // of a lease of several runs its part is not known: it is no more than what is held for it
    if (due !== null) this.#settle(this.#entry.run === null || due < this.#heldNanos ? due : this.#heldNanos);
    await journal.save(this.#entry);
  }

  /** A refusal costs nothing by itself: what came while a lease was followed, or brought here, says nothing of what the lease costs. */
  async #isFree(error: unknown): Promise<boolean> {
    const { order, lease } = this.#entry;
    if (order === null) return true;
    if (!(error instanceof MarketError)) return false;
    if (error.code === "not_started") return true;
    if (lease !== null || error.money !== "none") return false;
    try {
      // what was refused may have been a question about an order that was taken
      this.#entry.lease = await this.#shared.ways.leaseOf(order);
    } catch {
      return false;
    }
    return this.#entry.lease === null;
  }

  #settle(paidNanos: bigint): void {
    if (this.#heldNanos === 0n) return;
    this.#count(this.#heldNanos, paidNanos);
    [this.#heldNanos, this.#countedNanos] = [0n, paidNanos];
  }

  #count(heldNanos: bigint, paidNanos: bigint): void {
    if (this.#drawnOn !== null) this.#shared.purse.back(this.#drawnOn, heldNanos, paidNanos);
    this.#shared.budget.settle(heldNanos, paidNanos);
  }
}

/** It was not done in a lease of several runs, and has come to nothing of its own. */
const isLeftOut = ({ run }: JobResult): boolean => run !== undefined && ["anew", "apart", "wrong"].includes(run.state);

/** It ran to an end that a later call need not try again. */
const isFinal = (reason: EndReason): boolean => !isWorthRetrying(reason) && reason !== "customer-stop";
