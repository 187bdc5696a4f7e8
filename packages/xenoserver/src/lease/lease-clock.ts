/**
 * The time of one lease: how much was used, what it may run on, and when its guest stands still: while the broker is not heard, or at its
 * customer's word. Time in which nobody hears the server is not billed; a customer's pause is. Who controls the inputs: the broker
 * (silence), the customer (pause).
 */
import type { StopReason } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";

export class LeaseClock {
  readonly #ctx: LeaseContext;
  /** The time that was bought is over. */
  readonly #over: (reason: StopReason) => void;
  #silentSince: number | null = null;
  #cancelLimit: () => void = () => {};

  constructor(ctx: LeaseContext, over: (reason: StopReason) => void) {
    this.#ctx = ctx;
    this.#over = over;
  }

  get usedMs(): number {
    return this.#ctx.record.result?.usedMs ?? this.usedAt(this.#silentSince ?? this.#ctx.driver.monotonicMs());
  }

  usedAt(monotonicMs: number): number {
    const { guest } = this.#ctx.record;
    return guest ? Math.max(0, Math.floor(monotonicMs - guest.startedMonotonicMs - guest.pausedMs)) : 0;
  }

  /** Silence longer than the grace: the guest waits, so that nobody works for nothing and the slot is never used twice. */
  async silent(unheardMs: number): Promise<void> {
    const stage = this.#ctx.stage();
    if (stage.is !== "running" || this.#silentSince !== null) return;
    this.#silentSince = this.#ctx.driver.monotonicMs();
    this.#ctx.log("guest paused: the broker is not heard", { sinceMs: unheardMs });
    await stage.guest.pause();
  }

  async heard(): Promise<void> {
    const stage = this.#ctx.stage();
    const { guest, pausedByCustomer } = this.#ctx.record;
    if (this.#silentSince === null || !guest || !("guest" in stage)) return;
    guest.pausedMs += this.#ctx.driver.monotonicMs() - this.#silentSince;
    this.#silentSince = null;
    await this.#ctx.save();
    if (!pausedByCustomer) await stage.guest.resume();
    this.limit();
  }

  /** The customer's own pause: the machine stays reserved and is paid for. */
  async hold(paused: boolean): Promise<void> {
    const stage = this.#ctx.stage();
    const { record } = this.#ctx;
    if (stage.is !== "running" || record.pausedByCustomer === paused) return;
    record.pausedByCustomer = paused;
    await this.#ctx.save();
    if (this.#silentSince !== null) return;
    await (paused ? stage.guest.pause() : stage.guest.resume());
  }

  /** Says when the time that was bought is over; anew after every change of it. */
  limit(): void {
    this.#cancelLimit();
    if (!("guest" in this.#ctx.stage())) return;
    const { lease } = this.#ctx.facts;
    this.#cancelLimit = this.#ctx.world.timers.after(Math.max(1, lease.durationMsMax - this.usedMs + 2), () => {
      if (this.#silentSince !== null || this.#ctx.record.result) return;
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
