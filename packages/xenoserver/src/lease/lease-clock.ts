/**
 * The time of one lease: how much was used, what it may run on, and when its guest stands still: while the broker is not heard, while this
 * server's disk is full, or at its customer's word. Only the last of these is billed. Who controls the inputs: the broker (silence), the
 * owner (room on the disk), the customer (pause).
 */
import { lastClaimOf } from "@xenoservers/market";
import type { RunningGuest } from "../drivers/driver.ts";
import type { StopReason, Unbilled } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";

/** What its customer is told who would do something with it just then. */
const MOVING = "the lease is being moved to another server of its owner: ask again in a moment";

export class LeaseClock {
  readonly #ctx: LeaseContext;
  /** The time that was bought is over. */
  readonly #over: (reason: StopReason) => void;
  /** Its customer's word was done: it stands still, or goes on. */
  readonly #held: () => void;
  #cancelLimit: () => void = () => {};

  constructor(ctx: LeaseContext, over: (reason: StopReason) => void, held: () => void) {
    this.#ctx = ctx;
    this.#over = over;
    this.#held = held;
  }

  get usedMs(): number {
    return this.#ctx.record.result?.usedMs ?? this.usedAt(this.#ctx.driver.monotonicMs());
  }

  usedAt(monotonicMs: number): number {
    const { guest } = this.#ctx.record;
    if (!guest) return 0;
    const until = Math.min(monotonicMs, guest.stands?.sinceMonotonicMs ?? monotonicMs);
    return Math.max(0, Math.floor(until - guest.startedMonotonicMs - guest.pausedMs));
  }

  /** By the driver's clock, when as much was used as is claimed; undefined where its guest stands still, or was to go on. */
  get claimedUntilMs(): number | undefined {
    const { guest, pausedByCustomer, pendingClaim } = this.#ctx.record;
    if (!guest || guest.stands || guest.goesOn || pausedByCustomer) return undefined;
    const claimedMs = Math.max(lastClaimOf(this.#ctx.facts.lease).usedMs, pendingClaim?.usedMs ?? 0);
    return guest.startedMonotonicMs + guest.pausedMs + claimedMs;
  }

  /** Silence longer than the grace: the guest waits, so that nobody works for nothing and the slot is never used twice. */
  async silent(unheardMs: number): Promise<void> {
    const stage = this.#ctx.stage();
    if (stage.is !== "running" || this.#standsFor("unheard")) return;
    this.#ctx.log("guest paused: the broker is not heard", { sinceMs: unheardMs });
    await Promise.all([this.stand("unheard"), stage.guest.pause()]);
  }

  heard(): Promise<void> {
    return this.goOn("unheard");
  }

  #standsFor(why: Unbilled): boolean {
    return this.#ctx.record.guest?.stands?.why.includes(why) ?? false;
  }

  /** From now on nothing is billed. Idempotent. */
  async stand(why: Unbilled): Promise<void> {
    const { guest } = this.#ctx.record;
    if (!guest || this.#standsFor(why)) return;
    const { sinceMonotonicMs, why: others } = guest.stands ?? { sinceMonotonicMs: this.#ctx.driver.monotonicMs(), why: [] };
    guest.stands = { sinceMonotonicMs, why: [...others, why] };
    await this.#ctx.save();
  }

  /** Throws, in words, where it stands still to be moved, or may be elsewhere: what is done with it here now is not there. */
  needHere(): void {
    if (this.#standsFor("moving") || this.#ctx.record.handover) throw new Error(MOVING);
  }

  /** It runs again, and is billed, when the last reason to stand still is gone. */
  async goOn(why: Unbilled): Promise<void> {
    const stage = this.#ctx.stage();
    const { guest, pausedByCustomer } = this.#ctx.record;
    if (!guest?.stands || !this.#standsFor(why) || !("guest" in stage)) return;
    const left = guest.stands.why.filter((each) => each !== why);
    if (left.length === 0) guest.pausedMs += this.#ctx.driver.monotonicMs() - guest.stands.sinceMonotonicMs;
    guest.stands = left.length === 0 ? null : { ...guest.stands, why: left };
    // a daemon that is killed in between leaves a guest that runs and is not billed, rather than one that waits for ever
    if (left.length === 0 && !pausedByCustomer) await this.#resume(stage.guest);
    await this.#keep();
    this.limit();
  }

  /** That may take long, and what else is saved of the lease meanwhile says that it is still to be done. */
  async #resume(running: RunningGuest): Promise<void> {
    const { guest } = this.#ctx.record;
    if (guest) guest.goesOn = true;
    await running.resume();
    delete guest?.goesOn;
  }

  /** Of a lease that is over, and may be forgotten by now, nothing is saved. */
  async #keep(): Promise<void> {
    if ("guest" in this.#ctx.stage()) await this.#ctx.save();
  }

  /** Of a guest that was found again: an earlier daemon had told it to go on, and was killed before it did. */
  async takeUp(): Promise<void> {
    const stage = this.#ctx.stage();
    const { guest, pausedByCustomer } = this.#ctx.record;
    if (!guest?.goesOn || guest.stands || pausedByCustomer || !("guest" in stage)) return;
    await this.#resume(stage.guest);
    await this.#keep();
  }

  /**
   * The customer's own pause: the machine stays reserved and is paid for. A daemon that is killed in between, and a guest that does not do
   * it, leave one that the customer can tell the same again: never one that stands still and is said to run.
   */
  async hold(paused: boolean): Promise<void> {
    const stage = this.#ctx.stage();
    const { record } = this.#ctx;
    if (stage.is !== "running" || record.pausedByCustomer === paused) return;
    // what is said here now is not heard there
    if (record.handover) throw new Error(MOVING);
    record.pausedByCustomer = paused;
    try {
      if (paused) await this.#ctx.save();
      if (!record.guest?.stands) await (paused ? stage.guest.pause() : this.#resume(stage.guest));
    } catch (error) {
      record.pausedByCustomer = !paused;
      throw error;
    } finally {
      await this.#keep();
    }
    this.#held();
  }

  /** Says when the time that was bought is over; anew after every change of it. */
  limit(): void {
    this.#cancelLimit();
    if (!("guest" in this.#ctx.stage())) return;
    const { lease } = this.#ctx.facts;
    this.#cancelLimit = this.#ctx.world.timers.after(Math.max(1, lease.durationMsMax - this.usedMs + 2), () => {
      if (this.#ctx.record.guest?.stands || this.#ctx.record.result) return;
      const { durationMsMax, timeBound } = this.#ctx.facts.lease;
      if (this.usedMs < durationMsMax) this.limit();
      else this.#over(timeBound);
    });
  }

  /** In place of `limit`, before the guest runs: calls when its inputs should be here. */
  awaitUntil(at: number, late: () => void): void {
    const { timers } = this.#ctx.world;
    this.#cancelLimit();
    this.#cancelLimit = timers.after(Math.max(0, at - timers.now()) + 500, late);
  }

  cancel(): void {
    this.#cancelLimit();
  }
}
