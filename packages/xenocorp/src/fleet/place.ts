/**
 * The sequencer's place: one broker at a time has it, for a short while that it renews. Whoever lost it signs no checkpoint; the term says
 * to the database whether an append comes from whoever has it now.
 */
import type { LogPlace } from "../store/store.ts";
import type { FleetStore } from "./fleet-store.ts";

const HELD_MS = 3_000;
const RENEW_AFTER_MS = 1_500;
/** How soon one that was refused asks again. */
const REFUSED_MS = 300;

export class SequencerPlace {
  readonly #store: Pick<FleetStore, "takeDuty">;
  readonly #broker: string;
  /** In this machine's monotonic time: counted from before the database was asked, so that it is over here before it is there. */
  readonly #monotonicMs: () => number;
  #held: { term: number; from: number } | null = null;
  #refusedAt = -Infinity;

  constructor(store: Pick<FleetStore, "takeDuty">, broker: string, monotonicMs: () => number) {
    this.#store = store;
    this.#broker = broker;
    this.#monotonicMs = monotonicMs;
  }

  /** Null: another broker has it. */
  async take(): Promise<LogPlace | null> {
    const from = this.#monotonicMs();
    if (this.#held && from - this.#held.from < RENEW_AFTER_MS) return { broker: this.#broker, term: this.#held.term };
    if (from - this.#refusedAt < REFUSED_MS) return null;
    const term = await this.#store.takeDuty("sequencer", this.#broker, HELD_MS);
    const isOver = this.#monotonicMs() - from >= HELD_MS;
    this.#held = term === null || isOver ? null : { term, from };
    if (term === null) this.#refusedAt = from;
    return this.#held && { broker: this.#broker, term: this.#held.term };
  }
}
