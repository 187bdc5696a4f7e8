/**
 * The time of one lease: how much was used, what it may run on, and when its guest stands still: while the broker is not heard, or at its customer's
 * word. Time in which nobody hears the server is not billed; a customer's pause is. Who controls the inputs: the broker (silence), the customer (pause).
 */
import type { Payload } from "@xenoservers/protocol";
import type { RunningGuest } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

export interface LeaseClockHost {
  /** Null until it runs. */
  guest(): RunningGuest | null;
  save(): Promise<void>;
  /** The time that was bought is over. */
  over(reason: "time-limit" | "budget"): void;
}

export class LeaseClock {
  readonly #world: RunnerWorld;
  readonly #record: LeaseRecord;
  readonly #po: Payload<"purchase-order">;
  readonly #host: LeaseClockHost;
  #silentSince: number | null = null;
  #cancelLimit: () => void = () => {};

  constructor(world: RunnerWorld, record: LeaseRecord, po: Payload<"purchase-order">, host: LeaseClockHost) {
    this.#world = world;
    this.#record = record;
    this.#po = po;
    this.#host = host;
  }

  get usedMs(): number {
    return this.#record.result?.usedMs ?? this.usedAt(this.#silentSince ?? this.#world.driver.monotonicMs());
  }

  usedAt(monotonicMs: number): number {
    const { guest } = this.#record;
    return guest ? Math.max(0, Math.floor(monotonicMs - guest.startedMonotonicMs - guest.pausedMs)) : 0;
  }

  /** Silence longer than the grace: the guest waits, so that nobody works for nothing and the slot is never used twice. */
  async silent(unheardMs: number): Promise<void> {
    const guest = this.#host.guest();
    if (!guest || this.#silentSince !== null || this.#record.stage !== "running") return;
    this.#silentSince = this.#world.driver.monotonicMs();
    this.#world.log("guest paused: the broker is not heard", { lease: this.#record.lease, sinceMs: unheardMs });
    await guest.pause();
  }

  async heard(): Promise<void> {
    const guest = this.#host.guest();
    if (this.#silentSince === null || !guest) return;
    this.#record.guest!.pausedMs += this.#world.driver.monotonicMs() - this.#silentSince;
    this.#silentSince = null;
    await this.#host.save();
    if (!this.#record.pausedByCustomer) await guest.resume();
    this.limit();
  }

  /** The customer's own pause: the machine stays reserved and is paid for. */
  async hold(paused: boolean): Promise<void> {
    const guest = this.#host.guest();
    if (!guest || this.#record.stage !== "running" || this.#record.pausedByCustomer === paused) return;
    this.#record.pausedByCustomer = paused;
    await this.#host.save();
    if (this.#silentSince !== null) return;
    await (paused ? guest.pause() : guest.resume());
  }

  /** Says when the time that was bought is over; anew after every change of it. */
  limit(): void {
    const { timers } = this.#world;
    this.#cancelLimit();
    const left = this.#record.durationMsMax - this.usedMs;
    this.#cancelLimit = timers.after(Math.max(1, left + 2), () => {
      if (this.#silentSince !== null || this.#record.result) return;
      if (this.usedMs < this.#record.durationMsMax) return this.limit();
      this.#host.over(this.#record.durationMsMax > this.#po.durationMsMax ? "time-limit" : this.#po.timeBound);
    });
  }

  /** In place of `limit`, before the guest runs: calls when its inputs should be here. */
  awaitUntil(at: number, late: () => void): void {
    const { timers } = this.#world;
    this.#cancelLimit();
    this.#cancelLimit = timers.after(Math.max(0, at - timers.now()) + 500, late);
  }

  cancel(): void {
    this.#cancelLimit();
  }
}
