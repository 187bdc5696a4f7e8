/**
 * The usage claims of one lease: cumulative, chained, signed before they are sent, one under way at a time. The broker's receipts are also
 * how the server knows that it is still heard: silence longer than the grace pauses the guest. Who controls the inputs: the broker (its
 * answers).
 */
import { lastClaimOf } from "@xenoservers/market";
import { signDocument } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import type { SignedClaim } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";
import { STAGES } from "./stages.ts";
import { filedBy, surely } from "./submitting.ts";

interface ClaimsHost {
  usedMs(): number;
  egressBytes(): number;
  /** The broker was not heard for the grace. */
  silent(unheardMs: number): void;
  heard(): Promise<void>;
}

/** A claim that was not receipted is looked at again, where something waits for its receipt. */
const CLAIM_AGAIN_MS = 1_000;

/** Of a claim's interval: so long the guests of an earlier daemon have to say that they ended before what they used since is claimed. */
const HEARD_SHARE = 3;

/** The broker takes no claim of this lease any more. */
const CLOSED_CODES = ["wrong_state", "not_found"];
/** What the broker heard last is not what this server remembers. */
const LOST_CODES = ["claim_out_of_order", "claim_chain_broken", "claim_decreasing"];

export class Claims {
  readonly #ctx: LeaseContext;
  readonly #host: ClaimsHost;
  #cancel: () => void = () => {};
  #cancelSilence: (() => void) | null = null;
  #receiptedAt: number;
  /** Nothing was claimed by this daemon of what an earlier one began: whether its guest ran on is not known yet. */
  #isTakenUp = false;
  #underWay: Promise<unknown> = Promise.resolve();

  constructor(ctx: LeaseContext, host: ClaimsHost) {
    this.#ctx = ctx;
    this.#host = host;
    this.#receiptedAt = ctx.world.timers.now();
  }

  schedule(afterMs = this.#ctx.po.timings.claimIntervalMs): void {
    this.#cancel();
    if (!this.#may) return;
    this.#cancel = this.#ctx.world.timers.after(afterMs, () => {
      void this.#claimNow();
    });
  }

  /** Of an earlier daemon's lease: the broker hears at once that it is here, and of the time since the last claim by the next, soon. */
  takeUp(): void {
    this.#isTakenUp = true;
    this.schedule(0);
  }

  /** Whether it was receipted. */
  #claimNow(): Promise<boolean> {
    const claimed = this.#claim().catch((error: unknown) => {
      this.#ctx.log("a claim failed", { error: String(error) });
      this.schedule(); // a disk that was full has room again
      return false;
    });
    this.#underWay = claimed;
    return claimed;
  }

  /** Whether all that was used is receipted, and nothing is claimed that the broker may still receipt. */
  get #isAllReceipted(): boolean {
    const { record, facts } = this.#ctx;
    const { usedMs, egressBytes } = lastClaimOf(facts.lease);
    return record.pendingClaim === null && usedMs >= this.#usedMs && egressBytes >= this.#host.egressBytes();
  }

  /**
   * All that was used is claimed and receipted, and nothing more before `schedule`. False where nothing is claimed here any more, or it is
   * not wanted any more.
   */
  async receipted(isWanted: () => boolean): Promise<boolean> {
    while (isWanted()) {
      this.#cancel();
      await this.#underWay;
      if (!isWanted()) break;
      this.#cancel(); // what was under way has set the next
      if (!this.#may) return false;
      if (this.#isAllReceipted) return true;
      const isReceipted = await this.#claimNow();
      if (isWanted()) this.#cancel();
      if (!isReceipted) await this.#ctx.sleep(CLAIM_AGAIN_MS);
    }
    return false;
  }

  stop(): void {
    this.#cancel();
    this.#heard();
  }

  get #may(): boolean {
    return STAGES[this.#ctx.stage().is].claims;
  }

  /** Counts from the first claim that nobody has answered. */
  #listen(): void {
    const { timers } = this.#ctx.world;
    this.#cancelSilence ??= timers.after(this.#ctx.po.timings.graceMs, () => this.#host.silent(timers.now() - this.#receiptedAt));
  }

  #heard(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = null;
  }

  async #claim(): Promise<boolean> {
    if (!this.#may) return false;
    const { record, world } = this.#ctx;
    const isFirst = this.#isTakenUp;
    this.#isTakenUp = false;
    record.pendingClaim ??= this.#sign(isFirst);
    const { envelope } = record.pendingClaim;
    await this.#ctx.save();
    this.#listen();
    const answer = await world.submit(envelope);
    if (this.#ctx.stage().is === "over" || this.#ctx.stage().is === "released") return false;
    const receipted = await this.#answered(record.pendingClaim, answer);
    if (receipted) {
      this.#heard();
      this.#receiptedAt = world.timers.now();
      // the next claim does not wait for a guest that is slow to go on
      this.#ctx.apart(this.#host.heard());
    }
    const { claimIntervalMs } = this.#ctx.po.timings;
    this.schedule(isFirst ? claimIntervalMs / HEARD_SHARE : claimIntervalMs);
    return receipted;
  }

  /** Whether the claim was receipted. */
  async #answered({ id, envelope }: SignedClaim, answer: LinkAnswer): Promise<boolean> {
    const { record, facts } = this.#ctx;
    if (answer.ok) {
      await this.#ctx.took(filedBy([envelope], answer.answer));
      if (facts.lease.lastClaim?.id !== id) return false;
      record.pendingClaim = null;
      await this.#ctx.save();
      return true;
    }
    if (LOST_CODES.includes(answer.code)) await this.#goOn();
    else if (CLOSED_CODES.includes(answer.code)) {
      await this.#ctx.catchUp();
      await this.#ctx.over(`the broker closed the lease (${answer.code})`);
    }
    return false;
  }

  /** Never more than was bought. */
  get #usedMs(): number {
    return Math.min(this.#host.usedMs(), this.#ctx.facts.lease.durationMsMax);
  }

  #sign(isTakenUp: boolean): SignedClaim {
    const { world, record, facts, po } = this.#ctx;
    const last = lastClaimOf(facts.lease);
    const usedMs = isTakenUp ? last.usedMs : Math.max(last.usedMs, this.#usedMs);
    const egressBytes = Math.max(last.egressBytes, this.#host.egressBytes());
    const { id, envelope } = signDocument(world.crypto, world.signer, "claim", {
      ...{ origin: po.origin, seen: world.seen(), lease: record.lease, incarnation: record.incarnation, sequence: last.sequence + 1 },
      ...{ usedMs, egressBytes, previous: last.id },
    });
    return { id, usedMs, envelope };
  }

  /** A server that lost its disk goes on from the last logged claim as a new incarnation. */
  async #goOn(): Promise<void> {
    const { record } = this.#ctx;
    await this.#ctx.catchUp();
    record.incarnation = Math.max(record.incarnation, lastClaimOf(this.#ctx.facts.lease).incarnation) + 1;
    record.pendingClaim = null;
    await this.#ctx.save();
  }

  /** A claim that was signed must be answered before a result may follow it. */
  async settled(): Promise<void> {
    const { record, world } = this.#ctx;
    await this.#underWay;
    while (record.pendingClaim && this.#ctx.stage().is === "ending") {
      const pending = record.pendingClaim;
      await this.#answered(pending, await surely(this.#ctx, () => world.submit(pending.envelope)));
      // answered with something else than its receipt, or refused: it does not count
      if (record.pendingClaim === pending) record.pendingClaim = null;
    }
  }
}
