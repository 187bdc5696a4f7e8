/**
 * How long what is here of an ended lease stays: the job, its result, the states of its traces. As long as anybody may still ask for it, by
 * the lease's own facts (its window, a dispute, an appeal), and some time for whoever fetches the result. Before anything is forgotten the
 * broker is asked whether more has come. It goes by the market's time: a clock that was set wrong forgets nothing. Who controls the inputs:
 * the broker (documents, times; where it is not heard, nothing is forgotten).
 */
import { deadlineOf, type Lease } from "@xenoservers/market";
import type { LeaseContext } from "./lease-context.ts";

/** How far the broker's clock may be behind: it goes by the log's time. */
const CLOCKS_APART_MS = 60_000;
/** A broker that was not heard is asked again. */
const ASK_AGAIN_MS = 60_000;

/** Until then somebody may still ask by what is known here; 0: nobody. */
function askableUntil(lease: Lease): number {
  const isAskable = lease.state === "settled" || lease.state === "disputed" || lease.state === "convicted";
  return isAskable ? (deadlineOf(lease) ?? 0) + CLOCKS_APART_MS : 0;
}

export class Retention {
  readonly #ctx: LeaseContext;
  readonly #forget: () => Promise<void>;
  #gone: Promise<void> | null = null;

  constructor(ctx: LeaseContext, forget: () => Promise<void>) {
    this.#ctx = ctx;
    this.#forget = forget;
  }

  /** Results, and what the broker said that does not follow, are kept for a while; of a lease without either nobody can ask anything. */
  #until(): number {
    const { record, facts, world } = this.#ctx;
    if (record.result === null && facts.held.length === 0) return 0;
    const fetchedBy = (record.overAt ?? 0) + world.retainMs;
    return record.result === null ? fetchedBy : Math.max(fetchedBy, askableUntil(facts.lease));
  }

  get #leftMs(): number {
    const now = this.#ctx.world.marketNow();
    return now === null ? ASK_AGAIN_MS : this.#until() - now;
  }

  get #isReleased(): boolean {
    return this.#ctx.stage().is === "released";
  }

  #goes(): Promise<void> {
    return (this.#gone ??= this.#forget());
  }

  /** For want of room: forgets it before its time. False where somebody may still ask for it, or the broker cannot say whether. */
  async letGo(): Promise<boolean> {
    const { facts, record, world } = this.#ctx;
    if (this.#ctx.stage().is !== "over") return false;
    const isAskable = (): boolean => record.result !== null && askableUntil(facts.lease) > (world.marketNow() ?? 0);
    if (isAskable()) return false;
    if (record.result !== null && askableUntil(facts.lease) !== 0 && !(await this.#ctx.catchUp())) return false;
    if (isAskable() || this.#isReleased) return false;
    await this.#goes();
    return true;
  }

  /** Returns when nothing is left, or the daemon goes away. */
  async keep(): Promise<void> {
    for (;;) {
      // what is told meanwhile may have moved it
      do {
        await this.#ctx.sleep(Math.max(0, this.#leftMs));
        if (this.#isReleased || this.#gone) return;
      } while (this.#leftMs > 0);
      if (askableUntil(this.#ctx.facts.lease) === 0 || this.#ctx.record.result === null) break;
      const isHeard = await this.#ctx.catchUp();
      if (this.#isReleased) return;
      if (isHeard && this.#leftMs <= 0) break;
      if (!isHeard) await this.#ctx.sleep(ASK_AGAIN_MS);
    }
    await this.#goes();
  }
}
