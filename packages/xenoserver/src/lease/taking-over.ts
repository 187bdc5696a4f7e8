/**
 * How a lease comes to this server from another of its owner: what was carried here stands still until the broker has moved the lease. What
 * is signed is saved before it is sent, and is handed in until it is answered, also by a later daemon. Who controls the inputs: the server
 * that hands over, the same owner's; the broker (its answer).
 */
import { lastClaimOf } from "@xenoservers/market";
import { parseDocumentOf, signDocument, type Envelope } from "@xenoservers/protocol";
import type { Arriving, GuestJob, GuestMoves, PreparedGuest } from "../drivers/driver.ts";
import type { GuestRun } from "./guest-run.ts";
import type { HandedOver } from "./taker.ts";
import type { LeaseContext } from "./lease-context.ts";
import { filedBy, surely } from "./submitting.ts";

const NOT_MOVED = "the broker did not move the lease here";

interface TakingOverHost {
  guestRun: Pick<GuestRun, "job" | "takeOn">;
  /** It is here: what a lease that runs does begins. */
  taken(): void;
}

export class TakingOver {
  readonly #ctx: LeaseContext;
  readonly #host: TakingOverHost;
  #prepared: PreparedGuest | null = null;

  constructor(ctx: LeaseContext, host: TakingOverHost) {
    this.#ctx = ctx;
    this.#host = host;
  }

  /** Where what is carried here is put. */
  async arrive(): Promise<Arriving> {
    return this.#moves().arrive(this.#job());
  }

  #moves(): GuestMoves {
    const { moves, name } = this.#ctx.driver;
    if (!moves) throw new Error(`no guest of the driver ${name} comes here`);
    return moves;
  }

  #job(): GuestJob {
    const job = this.#host.guestRun.job();
    if (!job) throw new Error("there is nothing here to go on from");
    return job;
  }

  /** What was carried here stands here, still. Throws, in words, where it cannot; nothing of it is left then. */
  async restore(arrived: Arriving): Promise<void> {
    const prepared = await this.#moves().prepare(this.#job(), arrived);
    if (this.#ctx.stage().is !== "taking") return prepared.discard();
    this.#prepared = prepared;
  }

  /** Signs for it, and hands that in. Throws, in words, where the lease is not here in the end: nothing of it is left then. */
  async take({ handover, pausedByCustomer }: HandedOver, offer: Envelope): Promise<void> {
    const { world, record, facts, po, driver } = this.#ctx;
    const prepared = this.#prepared;
    const handed = parseDocumentOf(world.crypto, "handover", handover);
    if (!prepared || !handed.ok || handed.document.payload.lease !== record.lease)
      throw new Error("what was handed over is not this lease");
    const last = lastClaimOf(facts.lease);
    const now = driver.monotonicMs();
    record.incarnation = Math.max(record.incarnation, last.incarnation + 1);
    record.guest = {
      ...{ token: prepared.token, startedMonotonicMs: now - last.usedMs, pausedMs: 0 },
      stands: { sinceMonotonicMs: now, why: ["moving"] },
    };
    record.pausedByCustomer = pausedByCustomer;
    record.stop ??= facts.lease.stop?.reason ?? null;
    const own = { origin: po.origin, seen: world.seen(), lease: record.lease, server: world.server };
    record.takeover = signDocument(world.crypto, world.signer, "takeover", { ...own, handover, offer }).envelope;
    try {
      await this.#ctx.save();
    } catch (error) {
      // nobody has heard of it
      delete record.takeover;
      throw error;
    }
    await this.goOn();
    if (this.#ctx.stage().is === "over") throw new Error(NOT_MOVED);
  }

  /** Hands in what was signed, also by an earlier daemon, until the broker has decided. Where the lease is not here, nothing is left. */
  async goOn(): Promise<void> {
    const { world, record, facts } = this.#ctx;
    const { takeover } = record;
    const claimed = takeover ? this.#claimed(takeover) : null;
    if (takeover) {
      const answer = await surely(this.#ctx, () => world.submit(takeover));
      if (this.#ctx.stage().is === "released") return;
      if (answer.ok) await this.#ctx.took(filedBy([takeover], answer.answer));
      else this.#ctx.log("the takeover was refused", { code: answer.code, ...answer.facts });
    }
    if (facts.lease.server !== world.server) return this.#ctx.over(NOT_MOVED);
    if (!this.#ctx.move({ t: "taken" })) return;
    this.#ctx.log("lease taken over");
    this.#host.taken();
    await this.#host.guestRun.takeOn(this.#prepared);
    // what was filed on the way was told to the server that had it; what follows is told here
    await (claimed === null ? this.#ctx.catchUp() : this.#ctx.goOnFrom(claimed));
  }

  /** The last claim that was receipted at the server that handed it over: all before it is known here. */
  #claimed(takeover: Envelope): string | null {
    const { crypto } = this.#ctx.world;
    const read = parseDocumentOf(crypto, "takeover", takeover);
    const handed = read.ok ? parseDocumentOf(crypto, "handover", read.document.payload.handover) : read;
    return handed.ok ? handed.document.payload.lastClaim : null;
  }

  /** Nothing that was carried here is left. */
  async discard(): Promise<void> {
    const { record, driver } = this.#ctx;
    if (this.#prepared) await this.#prepared.discard();
    else if (record.guest) await driver.moves?.discard(record.guest.token);
    this.#prepared = null;
    record.guest = null;
  }
}
