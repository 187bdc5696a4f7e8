/**
 * How a lease leaves this server for another of its owner: its guest stands still, is carried there, and is handed over once the last claim
 * is receipted. What is signed is saved before it is sent. Until a later claim is receipted the lease may be elsewhere, so that nothing of
 * it runs here; that claim voids the handover, and the guest goes on. Who controls the inputs: the other server, which is the same owner's
 * and may fall silent at any moment; the broker (receipts).
 */
import { lastClaimOf, movedBy, movedOften, stayingReason } from "@xenoservers/market";
import { payloadType, signDocument, type Envelope, type Kind } from "@xenoservers/protocol";
import type { CarriedFile, Carrying, RunningGuest } from "../drivers/driver.ts";
import type { Claims } from "./claims.ts";
import type { GuestEnd } from "./guest-end.ts";
import type { StopReason } from "./journal.ts";
import type { LeaseClock } from "./lease-clock.ts";
import type { LeaseContext } from "./lease-context.ts";
import type { Handed, HandedOver, Taker } from "./taker.ts";
import { TellingLog } from "./telling-log.ts";

/** How long the owner waits for what the broker says of where the lease is. */
const LOOK_AGAIN_MS = 1_000;
const LOOKED_TIMES_MAX = 60;

interface HandingOverHost {
  guest(): RunningGuest | null;
  claims: Pick<Claims, "receipted" | "schedule">;
  stop(reason: StopReason): Promise<void>;
}

export class HandingOver {
  readonly #ctx: LeaseContext;
  readonly #clock: LeaseClock;
  readonly #host: HandingOverHost;
  /** It is carried, and no handover is signed yet. */
  #isCarrying = false;
  /** How its guest ended while the lease may have been elsewhere. */
  #ended: GuestEnd | null = null;

  constructor(ctx: LeaseContext, clock: LeaseClock, host: HandingOverHost) {
    this.#ctx = ctx;
    this.#clock = clock;
    this.#host = host;
  }

  /** Why it does not leave this server now, in words; null where it may. */
  problem(): string | null {
    const { record, facts, driver, po, order } = this.#ctx;
    if (this.#isCarrying || record.handover) return "it is being moved already";
    if (this.#ctx.stage().is !== "running" || !record.work) return `it is ${this.#ctx.stage().is}, and moves while it runs`;
    const staying = stayingReason(facts.lease) ?? movedOften(facts.lease) ?? driver.moves?.problemWith(record.work, { po, order }) ?? null;
    if (staying !== null) return staying;
    return driver.moves && this.#host.guest()?.carry ? null : `a guest of the driver ${driver.name} cannot be carried by this server`;
  }

  /** Resolves once the lease is there. Throws, in words, where it is not, as far as is known; it goes on here then, once that is sure. */
  async give(to: Taker): Promise<void> {
    const problem = this.problem();
    if (problem !== null) throw new Error(problem);
    this.#isCarrying = true;
    try {
      const handed = await this.#carry(to);
      this.#isCarrying = false;
      // where the other server is not heard of, this is how it is found out where the lease is
      this.#host.claims.schedule();
      await to.handOver(handed).catch((error: Error) => this.#foundOut(error));
      const { stands } = this.#ctx.record.guest ?? {};
      const stoodMs = stands ? Math.round(this.#ctx.driver.monotonicMs() - stands.sinceMonotonicMs) : 0;
      this.#ctx.log("lease handed over", { to: to.server, stoodMs });
    } catch (error) {
      this.#ctx.log("the lease was not moved", { to: to.server, why: error instanceof Error ? error.message : String(error) });
      throw error;
    } finally {
      if (this.#isCarrying) await this.#stays();
    }
  }

  /** The other server does not say that it has the lease: a claim says where it is. Throws where it is not there, as far as is known. */
  async #foundOut(why: Error): Promise<void> {
    this.#host.claims.schedule(0);
    for (let looked = 0; this.isElsewhere && looked < LOOKED_TIMES_MAX; looked++) {
      await this.#ctx.sleep(LOOK_AGAIN_MS);
      if (this.#ctx.stage().is === "over") return;
    }
    throw this.isElsewhere ? new Error(`${why.message}; whether it is there is not known before the broker is heard`) : why;
  }

  async #carry(to: Taker): Promise<HandedOver> {
    const { record } = this.#ctx;
    const guest = this.#running();
    const { work } = record;
    if (!guest.carry || !work) throw new Error("there is nothing to carry");
    const telling = new TellingLog(this.#ctx, to, () => void this.#running());
    await to.ask({ ...this.#bound(), work, keptMib: (await guest.keptMib?.()) ?? null });
    await telling.rest();
    await to.admitted();
    const carrying = await guest.carry();
    carrying.onStill?.(async () => {
      if (this.#isCarrying) await this.#clock.stand("moving");
    });
    let early: Promise<unknown> = Promise.resolve();
    try {
      await this.#send(to, carrying.running);
      this.#running();
      await this.#clock.stand("moving");
      early = this.#claimEarly();
      await this.#standStill(to, guest, carrying);
    } finally {
      await carrying.dispose();
    }
    // what its guest sent as it was saved is claimed, too
    const receipted = early.then(() => this.#receipted());
    if (!(await Promise.race([receipted, to.gone]))) throw new Error("the lease takes no claim any more");
    this.#running();
    await telling.rest();
    const handover = await this.#sign(to.server);
    return { handover, pausedByCustomer: record.pausedByCustomer };
  }

  /** By what this server has it. */
  #bound(): Omit<Handed, "work" | "keptMib"> {
    const { facts, grants, acceptance } = this.#ctx.record;
    const ofKind = (kind: Kind) => facts.filter(({ envelope }) => envelope.payloadType === payloadType(kind));
    const [po] = ofKind("purchase-order");
    if (!po) throw new Error("the journal has no purchase order of it");
    return { grants, po: { envelope: po.envelope, at: po.at }, acceptance, move: ofKind("move").at(-1)?.envelope ?? null };
  }

  async #standStill(to: Taker, guest: RunningGuest, carrying: Carrying): Promise<void> {
    if (carrying.standsByItself !== true) await guest.pause();
    await this.#send(to, await carrying.rest());
    await to.restored();
  }

  #receipted(): Promise<boolean> {
    return this.#host.claims.receipted(() => this.#isCarrying);
  }

  /** No more time is used: that is claimed while the rest is carried. That may take long, and the broker hears of the lease meanwhile. */
  async #claimEarly(): Promise<void> {
    await this.#receipted().catch(() => {}); // it is claimed again once all is there
    this.#host.claims.schedule();
  }

  async #send(to: Taker, files: readonly CarriedFile[]): Promise<void> {
    for (const { name, pieces } of files)
      for await (const bytes of pieces()) {
        this.#running();
        await to.send(name, bytes);
      }
  }

  /** Throws where it was stopped or has ended meanwhile. */
  #running(): RunningGuest {
    const stage = this.#ctx.stage();
    if (stage.is !== "running") throw new Error(`the lease is ${stage.is} meanwhile`);
    return stage.guest;
  }

  async #sign(to: string): Promise<Envelope> {
    const { world, record, facts, po } = this.#ctx;
    const { lease } = facts;
    const { envelope } = signDocument(world.crypto, world.signer, "handover", {
      ...{ origin: po.origin, seen: world.seen(), lease: record.lease, previous: movedBy(lease) ?? "", server: world.server, to },
      lastClaim: lastClaimOf(lease).id,
    });
    record.handover = envelope;
    await this.#ctx.save();
    return envelope;
  }

  /** Whether nothing of it may happen here before it is known where the lease is. */
  get isElsewhere(): boolean {
    return Boolean(this.#ctx.record.handover);
  }

  /** Its guest has ended where the lease may be elsewhere: that counts once it is not. */
  holdEnd(end: GuestEnd): void {
    this.#ended ??= end;
  }

  /** A claim was receipted: the lease is here, whatever was handed over before it. Also of what an earlier daemon began to carry. */
  async heard(): Promise<void> {
    if (this.#isCarrying) return;
    if (this.#ctx.record.guest?.stands?.why.includes("moving")) await this.#stays();
  }

  async #stays(): Promise<void> {
    this.#isCarrying = false;
    const { record } = this.#ctx;
    const wasHandedOver = this.isElsewhere;
    record.handover = null;
    await this.#ctx.save();
    await this.#clock.goOn("moving");
    this.#host.claims.schedule();
    if (!wasHandedOver) return;
    this.#ctx.log("the lease stays: what was handed over was not taken");
    if (this.#ended) return this.#ctx.finish(this.#ended);
    // what it was told meanwhile
    if (record.stop) await this.#host.stop(record.stop);
  }
}
