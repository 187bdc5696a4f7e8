/**
 * The guest of a lease: made, begun, found again after a restart, stopped, and how it ended. A lease that ends while its guest is being
 * made leaves nothing of it. Who controls the inputs: the guest (its ending and output), the customer (its work), the broker (stops, by way
 * of the fold).
 */
import { TERMS, fetchByOf, lastClaimOf, runsAlike } from "@xenoservers/market";
import type { GuestEnding, GuestJob, GuestToken, PreparedGuest, RunningGuest } from "../drivers/driver.ts";
import { endOfRefused } from "../drivers/refused.ts";
import type { StopReason } from "./journal.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { LeaseContext } from "./lease-context.ts";
import { DETAIL_MAX, withNothing, type GuestEnd } from "./guest-end.ts";

/** Whether the time that was bought is over. */
const limited = (reason: string): boolean => reason === "time-limit" || reason === "budget";

/** A guest's clock may be behind the lease's: it is stopped by the lease's limit, not by this one. */
const RUNS_LONGER = 2;

/** Between two looks for a guest that an earlier daemon began. */
const FOUND_AGAIN_MS = 1_000;
/** Of the market's grace, that one which stands still may take to go on before it is stopped: one in so many. */
const GOES_ON_SHARE = 6;

/** Its driver cannot find it, or not yet. */
const LOST = "lost";

export class GuestRun {
  readonly #ctx: LeaseContext;
  readonly #clock: LeaseClock;
  readonly #host: { begins(): void; began(): void; changed(): void; stood(why: string): void };
  #standsStill: string | null = null;
  #guest: RunningGuest | null = null;
  /** Of a result that was signed before, the search for its bytes. */
  #looking: Promise<unknown> | null = null;
  /** What is under way to make it. */
  #making: AbortController | null = null;
  /** Nobody hears this server, and nothing is made meanwhile. */
  #silence: PromiseWithResolvers<void> | null = null;

  /**
   * `begins`: its work is here, and it is made; `changed`: it has written something; `stood`: it stands still, or goes on, in words for its
   * customer.
   */
  constructor(ctx: LeaseContext, clock: LeaseClock, host: { begins(): void; began(): void; changed(): void; stood(why: string): void }) {
    this.#ctx = ctx;
    this.#clock = clock;
    this.#host = host;
  }

  /** The one that runs, or whose output is still here. */
  get guest(): RunningGuest | null {
    return this.#guest;
  }

  /** Why it stands still at this server's fault, in words; null where it does not. */
  get standsStill(): string | null {
    return this.#standsStill;
  }

  get egressBytes(): number {
    return this.#guest?.egressBytes?.() ?? 0;
  }

  /** What the drivers make a guest of; null before its work came. */
  job(trace: GuestJob["trace"] = null): GuestJob | null {
    const { world, record, facts, po, order } = this.#ctx;
    const { work } = record;
    return (
      work && {
        ...{ lease: record.lease, po, order, work, trace, fuelMax: BigInt(po.fuelMax) },
        runMsMax: Math.max(1, facts.lease.durationMsMax * RUNS_LONGER),
        egressBytesUsed: () => lastClaimOf(facts.lease).egressBytes,
        blobFile: (digest) => world.journal.blobFile(record.lease, digest),
      }
    );
  }

  /** Nobody wants it any more: what is under way to make it ends. */
  callOff(): void {
    this.#making?.abort();
    this.heard();
  }

  /** The broker is not heard: what is under way to make it ends, so that nobody works for nothing, and begins anew once it is. */
  silent(): void {
    if (this.#ctx.stage().is !== "preparing") return;
    this.#silence ??= Promise.withResolvers();
    this.#making?.abort();
  }

  heard(): void {
    this.#silence?.resolve();
    this.#silence = null;
  }

  /** Null where nobody wants it any more. */
  async #made(job: GuestJob): Promise<PreparedGuest | null> {
    while (this.#ctx.stage().is === "preparing") {
      const { signal } = (this.#making = new AbortController());
      const fetchMsMax = Math.max(0, fetchByOf(this.#ctx.facts.lease) - this.#ctx.world.timers.now());
      const prepared = await this.#ctx.driver.prepare({ ...job, signal, fetchMsMax }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
        return null;
      });
      if (prepared !== null && !signal.aborted) return prepared;
      await prepared?.discard();
      await this.#silence?.promise;
    }
    return null;
  }

  /** Makes the guest and begins it, once its work is here. */
  async start(): Promise<void> {
    const job = this.job();
    if (!job || !this.#ctx.move({ t: "job-here" })) return;
    this.#clock.cancel();
    this.#host.begins();
    try {
      this.#needItsEngine();
      const prepared = await this.#made(job);
      // stopped, closed or let go while it was made
      if (prepared === null) return;
      if (!this.#ctx.move({ t: "prepared" })) return await prepared.discard();
      await this.#begin(prepared);
    } catch (error) {
      await this.#notStarted(error);
    }
  }

  async #begin(prepared: PreparedGuest): Promise<void> {
    const { record, driver } = this.#ctx;
    const { engine } = driver;
    record.guest = { token: prepared.token, engine, startedMonotonicMs: driver.monotonicMs(), pausedMs: 0, stands: null };
    await this.#ctx.save();
    await this.#follow(await prepared.begin());
  }

  /** Throws where a daemon of another version has come before the guest began: what is compared with others' is run by what was bound. */
  #needItsEngine(): void {
    const { facts, order, driver } = this.#ctx;
    if (driver.engine !== facts.lease.engine && runsAlike(order.driver, order.assurance))
      throw new Error(`this server has the engine ${driver.engine} by now, and ${facts.lease.engine} was bound`);
  }

  async #notStarted(error: unknown): Promise<void> {
    const { reason, detail } = endOfRefused(error);
    this.#ctx.log("the guest did not start", { reason, error: String(error) });
    await this.#ctx.finish(withNothing(reason, detail));
  }

  /** An earlier daemon was killed between its token's saving and its beginning, and its process went with that: nothing of it ever ran. */
  async #beginAnew(job: GuestJob): Promise<void> {
    this.#ctx.log("the guest had not begun before the restart: it is made anew");
    try {
      // nothing of it is left to be found by a daemon that comes after this one
      this.#ctx.record.guest = null;
      await this.#ctx.save();
      this.#needItsEngine();
      const prepared = await this.#ctx.driver.prepare(job);
      // closed or let go while it was made
      if (this.#ctx.stage().is !== "beginning") return await prepared.discard();
      await this.#begin(prepared);
    } catch (error) {
      await this.#notStarted(error);
    }
  }

  /**
   * Finds the guest again that an earlier daemon began; of one that is not found within the market's grace the lease has failed with its
   * server. What was signed before waits for nothing: its broker's timers run.
   */
  async adopt(): Promise<void> {
    const { record } = this.#ctx;
    const made = this.job();
    if (!record.guest || !made) return;
    const livedUntilMs = this.#clock.claimedUntilMs;
    const job = { ...made, ...(livedUntilMs === undefined ? {} : { livedUntilMs }) };
    const { token } = record.guest;
    const first = await this.#look(token, job);
    if (record.result) {
      if (first !== LOST) this.#guest = first;
      else this.#looking = this.#lookAgain(token, job).then((guest) => (this.#guest = guest === LOST ? null : guest));
      return;
    }
    const guest = first === LOST ? await this.#lookAgain(token, job) : first;
    if (guest === LOST) return this.#ctx.finish(withNothing("server-failed", "the server could not find its guest again after a restart"));
    if (guest === null) return this.#ctx.stage().is === "beginning" ? this.#beginAnew(job) : undefined;
    await this.#follow(guest);
    this.#ctx.apart(this.#clock.takeUp());
    // an earlier daemon was killed as it took the lease on
    if (record.pausedByCustomer && record.guest.stands?.why.includes("moving")) await guest.pause();
  }

  /** What another server handed over goes on here; `prepared`: by this daemon. */
  async takeOn(prepared: PreparedGuest | null): Promise<void> {
    try {
      if (prepared) await this.#follow(await prepared.begin());
      else await this.adopt();
    } catch (error) {
      this.#ctx.log("the guest did not go on", { error: String(error) });
      return this.#ctx.finish(withNothing("server-failed", "the server could not go on with what another handed over"));
    }
    if (this.#ctx.record.pausedByCustomer) await this.#guest?.pause();
    await this.#clock.goOn("moving");
  }

  /** The one whose output is here, once it was looked for; null where there is none. */
  async found(): Promise<RunningGuest | null> {
    await this.#looking;
    return this.#guest;
  }

  /** Null: it never began. */
  async #look(token: GuestToken, job: GuestJob): Promise<RunningGuest | null | typeof LOST> {
    try {
      return await this.#ctx.driver.adopt(token, job);
    } catch (error) {
      this.#ctx.log("the guest was not found again", { error: String(error) });
      return LOST;
    }
  }

  /** What a driver asks (a hypervisor, a pool) may start later than this daemon. */
  async #lookAgain(token: GuestToken, job: GuestJob): Promise<RunningGuest | null | typeof LOST> {
    const { world, facts } = this.#ctx;
    const until = world.timers.now() + facts.lease.timings.graceMs;
    while (world.timers.now() < until) {
      await this.#ctx.sleep(FOUND_AGAIN_MS);
      if (this.#ctx.stage().is === "released") return LOST;
      const guest = await this.#look(token, job);
      if (guest !== LOST) return guest;
    }
    return LOST;
  }

  async #follow(guest: RunningGuest): Promise<void> {
    if (!this.#ctx.move({ t: "began", guest })) return this.#letGo(guest);
    this.#guest = guest;
    guest.onChange(() => this.#host.changed());
    guest.onStall?.((why) => this.#ctx.apart(this.#stalled(why)));
    this.#host.began();
    this.#clock.limit();
    // what the lease was told while the guest was made
    const { stop } = this.#ctx.record;
    if (stop) await this.stop(stop);
    this.#ctx.apart(guest.ended.then((ending) => this.#ctx.finish(this.#endOf(ending))));
  }

  /** It stands still for lack of what this server owes it; with null it can go on. */
  async #stalled(why: string | null): Promise<void> {
    this.#standsStill = why;
    this.#ctx.log(why === null ? "guest goes on: there is room on the disk" : "guest stands still: the disk is full");
    this.#host.stood(why ?? "the server has room again: the machine goes on");
    await (why === null ? this.#clock.goOn("no-room") : this.#clock.stand("no-room"));
  }

  /** It began too late: the daemon that comes next goes on with it, or nobody does. */
  async #letGo(guest: RunningGuest): Promise<void> {
    if (this.#ctx.stage().is === "released") return guest.release();
    await guest.kill();
    await guest.dispose();
  }

  /** Stops the guest; what it has so far is handed in under this reason. Before it runs, nothing is. */
  async stop(reason: StopReason): Promise<void> {
    const { record } = this.#ctx;
    if (record.result) return;
    record.stop ??= reason;
    await this.#ctx.save();
    // it may be elsewhere: stopped once it is known to be here
    if (record.handover) return;
    if (!this.#ctx.move({ t: "stop" })) return;
    const stage = this.#ctx.stage();
    if (stage.is !== "stopping") return this.#ctx.ending(withNothing(record.stop));
    const { graceMs } = this.#ctx.facts.lease.timings;
    // one that does not go on is told all the same
    await Promise.race([this.#clock.heard(), this.#ctx.sleep(graceMs / GOES_ON_SHARE)]).catch((error: unknown) =>
      this.#ctx.log("the guest did not go on to be stopped", { error: String(error) }),
    );
    // the server has the market's grace to hand in what there is, the guest two thirds of it to end; none where its time was used up
    await stage.guest.stop(limited(record.stop) ? 0 : (graceMs * 2) / 3);
  }

  #endOf(ending: GuestEnding): GuestEnd {
    const { record, facts, driver } = this.#ctx;
    const { stop, work, pendingClaim } = record;
    const { durationMsMax, lastClaim, fuelBound } = facts.lease;
    const used = Math.min(this.#clock.usedAt(ending.endedMonotonicMs), durationMsMax);
    const usedMs = Math.max(used, lastClaim?.usedMs ?? 0, pendingClaim?.usedMs ?? 0);
    const isSegment = work !== null && driver.isSegment(work);
    const detail = ending.detail.slice(0, DETAIL_MAX);
    if (ending.kind === "host-failure") {
      // a run with breakpoints cannot be interrupted: who has it stopped gets nothing of it
      if (isSegment && stop) return { ...withNothing(stop), usedMs: limited(stop) ? durationMsMax : usedMs };
      return { ...withNothing("server-failed", detail), usedMs };
    }
    const reason = ending.reason === "stopped" ? (stop ?? "server-failed") : ending.reason;
    if (!TERMS[reason].ran && reason !== "server-failed") return withNothing(reason, detail);
    const { fuel, fuelInAll, memoryHash, stateRoot, tree } = ending;
    return {
      ...{ detail, fuel, fuelInAll, memoryHash, stateRoot, tree, egressBytes: this.egressBytes },
      reason: reason === "fuel-limit" && !isSegment ? fuelBound : reason,
      exitCode: TERMS[reason].exitCode ? ending.exitCode : null,
      usedMs: ending.reason === "stopped" && limited(reason) ? durationMsMax : usedMs,
    };
  }

  async kill(): Promise<void> {
    await this.#guest?.kill();
  }

  async dispose(): Promise<void> {
    await this.#guest?.dispose();
  }

  release(): void {
    this.#guest?.release();
  }
}
