/**
 * How a lease's work comes: what its customer brings is held against what was ordered, its bytes are pulled and checked. What cannot be
 * read here or does not fit is refused at once and in words: the channel is its customer's alone, so nobody else can have brought it. Who
 * controls the inputs: the customer, every byte.
 */
import { inputsByOf } from "@xenoservers/market";
import type { Channel } from "@xenoservers/protocol/channel";
import { Transfer, type TransferFailure } from "../customer/transfer.ts";
import { broughtBy, workOf, type WorkHeader } from "../drivers/work.ts";
import type { Bringer } from "./kept-inputs.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { LeaseContext } from "./lease-context.ts";
import { withNothing } from "./guest-end.ts";

const ASK_AGAIN_MS = 3_000;

export type Taken = { transfer: Transfer } | { problem: string } | null;

export class JobIntake {
  readonly #ctx: LeaseContext;
  readonly #clock: LeaseClock;
  readonly #start: () => Promise<void>;
  /** Every blob of the work is here and right. */
  #complete = false;
  /** What is wrong with work that came before the lease was open. */
  #refused: string | null = null;
  /** The one that counts: a customer that comes again begins anew. */
  #transfer: Transfer | null = null;

  constructor(ctx: LeaseContext, clock: LeaseClock, start: () => Promise<void>) {
    this.#ctx = ctx;
    this.#clock = clock;
    this.#start = start;
  }

  get #isWaiting(): boolean {
    return this.#ctx.stage().is === "waiting";
  }

  /** The lease is open: starts when the bytes are here, else gives the customer until its last moment. */
  async open(): Promise<void> {
    if (this.#refused !== null) return void this.#refuse(this.#refused);
    this.#awaitInputs();
    await this.#startIfComplete();
  }

  #awaitInputs(until = inputsByOf(this.#ctx.facts.lease, this.#ctx.world.timers.now())): void {
    this.#clock.awaitUntil(until, () => this.#ctx.apart(this.#late()));
  }

  /**
   * A broker that was away, or this server, gives the customer as much more. The log says how much, once the broker is there again.
   */
  async #late(): Promise<void> {
    const { facts, world } = this.#ctx;
    const known = await this.#ctx.catchUp();
    if (!this.#isWaiting) return;
    if (!known) this.#awaitInputs(world.timers.now() + ASK_AGAIN_MS);
    else if (world.timers.now() < inputsByOf(facts.lease, world.timers.now())) this.#awaitInputs();
    else await this.#ctx.finish(withNothing("input-missing"));
  }

  /** As an earlier daemon left it. */
  async resume(): Promise<void> {
    this.#complete = await this.#blobsAreHere();
    await this.open();
  }

  async #startIfComplete(): Promise<void> {
    if (this.#complete && this.#isWaiting) await this.#start();
  }

  async #blobsAreHere(): Promise<boolean> {
    const { record, driver, world, po, order } = this.#ctx;
    const { work } = record;
    if (!work) return false;
    for (const blob of await driver.neededBlobs(work, { po, order })) if (!(await world.journal.hasBlob(record.lease, blob))) return false;
    return true;
  }

  /** Begins to fetch what a customer's header names; null where nothing is to be fetched any more. */
  async take(header: WorkHeader, channel: Channel): Promise<Taken> {
    const { record, driver, world, po, order } = this.#ctx;
    const { is } = this.#ctx.stage();
    if (is !== "waiting" && is !== "accepting") return null;
    const work = workOf(header);
    const problem = driver.problemWith(work, { po, order });
    if (problem !== null) return this.#refuse(problem);
    await this.#transfer?.abandon();
    // saved when the guest starts: before that, the customer brings it again
    record.work = work;
    const needed = await driver.neededBlobs(work, { po, order });
    const transfer = new Transfer(world.journal, { lease: record.lease, bringer: this.#bringer, keeps: this.#keeps }, channel, needed);
    return { transfer: (this.#transfer = transfer) };
  }

  get #bringer(): Bringer {
    const { po, order } = this.#ctx;
    return { customer: po.customer, account: order.account };
  }

  /** Whether its customer has it kept for the next lease; what a referee is sent for one dispute is of no next one. */
  get #keeps(): boolean {
    const { record, order } = this.#ctx;
    return order.judges === null && !(record.work && broughtBy(record.work).forgets);
  }

  /** Nothing of it runs: what came is kept for its customer's next lease. */
  async setAside(): Promise<void> {
    const { record, world } = this.#ctx;
    await this.#transfer?.abandon();
    if (this.#keeps) await world.journal.setAside(record.lease, this.#bringer);
  }

  /**
   * Its customer wishes that nothing of it is kept for the next, also where an earlier lease brought it. A disk that fails keeps no lease
   * from its beginning or end, and its owner is told.
   */
  async forgetUnwanted(): Promise<void> {
    const { record, world } = this.#ctx;
    if (this.#keeps) return;
    const failed = (error: unknown): void => this.#ctx.log("inputs were not forgotten", { error: String(error) });
    await world.journal.forgetInputs(record.lease, this.#bringer).catch(failed);
  }

  #refuse(problem: string): Taken {
    this.#refused = problem;
    if (this.#isWaiting) this.#ctx.apart(this.#ctx.finish(withNothing("job-refused", problem)));
    return { problem };
  }

  /** What its customer brought cannot be read at all. */
  unreadable(why: string): void {
    const { is } = this.#ctx.stage();
    if (is === "waiting" || is === "accepting") this.#refuse(why);
  }

  /** How a transfer went: null when every byte is here; else what is wrong with them. */
  async came(transfer: Transfer, failure: TransferFailure | null): Promise<void> {
    if (transfer !== this.#transfer) return;
    if (failure?.by === "host") return this.#ctx.finish(withNothing("server-failed", failure.why));
    if (failure) return void this.#refuse(failure.why);
    this.#complete = true;
    await this.forgetUnwanted();
    await this.#startIfComplete();
  }
}
