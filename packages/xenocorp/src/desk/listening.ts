/**
 * What this broker does before it hears anybody: it says that it hears, files the gap where none did, and turns the rounds of audits. It
 * hears only while what it hears can be written down: where a commit fails by the store's own fault, nobody was heard since the last beat.
 * A gap is filed before the beat that would hide it, so that a broker that ends in between files it at its next start.
 */
import { DISK_IS_FULL, isDiskFull } from "../store/lost.ts";
import type { CommitResult } from "../store/store.ts";
import { nextAuditTurn, turnAuditRounds } from "./audit-rounds.ts";
import { GAP_MIN_MS, fileGap, isBeatDue } from "./hearing.ts";
import type { Outcome, Planned } from "./outcome.ts";
import { Round, type Services } from "./round.ts";

const TRIES_MAX = 20;

type Change = Planned["change"];

export class Listening {
  readonly #services: Services;
  /** When this broker last said that it hears, in broker time. */
  #beatAt: number | null = null;
  #hearing: Promise<void> | null = null;
  /** What somebody said since the last beat was lost. */
  #isDeaf = false;
  /** Why the latest change could not be written down; null: it could. */
  #unwritten: string | null = null;
  /** When rounds of audits are to be looked at again, in broker time. */
  #turnAt = 0;

  constructor(services: Services) {
    this.#services = services;
  }

  /**
   * Says that this broker hears; where none did for a while, files the gap before anything else is done, and turns the rounds of audits.
   * Every batch and every round of timers asks for it: a deadline that ran while nobody heard has not passed.
   */
  hear(): Promise<void> {
    this.#hearing ??= this.#hear().finally(() => (this.#hearing = null));
    return this.#hearing;
  }

  /** All that is committed for somebody else goes through here. */
  async commit(changes: readonly Change[]): Promise<CommitResult[]> {
    try {
      return await this.#write(changes);
    } catch (error) {
      this.#isDeaf = true;
      throw error;
    }
  }

  /**
   * What keeps this broker from taking anything, in words for strangers; null: nothing that is known. The next change that is written ends
   * it, as does that it hears again.
   */
  get unwritten(): string | null {
    return this.#unwritten;
  }

  async #write(changes: readonly Change[]): Promise<CommitResult[]> {
    try {
      const results = await this.#services.store.commit(changes);
      if (changes.length > 0) this.#unwritten = null;
      return results;
    } catch (error) {
      this.#unwritten = isDiskFull(error) ? DISK_IS_FULL : "the latest change could not be written down";
      throw error;
    }
  }

  async #hear(): Promise<void> {
    const now = this.#services.now();
    const silentMs = this.#beatAt === null ? Infinity : now - this.#beatAt;
    if (!isBeatDue(this.#beatAt, now)) return;
    // it says nothing before it is known whether this becomes a gap
    if (this.#isDeaf && silentMs < GAP_MIN_MS) return;
    if (silentMs >= GAP_MIN_MS) {
      const heardAt = await this.#services.store.heardAt();
      const since = this.#isDeaf && this.#beatAt !== null ? this.#beatAt : heardAt;
      if (since !== null && now - since >= GAP_MIN_MS) await this.#fileOnce((round) => fileGap(round, since));
      this.#isDeaf = false;
    }
    await this.#services.store.beat(now);
    await this.#turnRounds(now);
    this.#beatAt = now;
    // also where another broker has filed the gap, and nobody sends anything to one that is not ready
    this.#unwritten = null;
  }

  async #turnRounds(now: number): Promise<void> {
    if (now < this.#turnAt) return;
    await this.#fileOnce(turnAuditRounds);
    this.#turnAt = await nextAuditTurn(new Round(this.#services));
  }

  /** What whichever broker is first says of its own. */
  async #fileOnce(plan: (round: Round) => Promise<Outcome | null>): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const outcome = await plan(new Round(this.#services));
      if (outcome === null || !outcome.ok) return;
      const [result] = await this.#write([outcome.change]);
      if (result?.status === "refused") throw new Error(`${outcome.change.id} cannot be held: ${result.what}`);
      if (result?.status !== "conflict") return;
    }
  }
}
