/**
 * A domain stands still and goes on at the word of several: its customer, its lease, its host's disk, whoever carries it. Xen counts how
 * often a domain was paused, and resumes it after as many words: here it is paused once. Who controls the inputs: the customer (when).
 */
import type { DomainMaking } from "./domain-making.ts";
import type { DomainSaving } from "./domain-save.ts";
import { XlError, type Xl } from "./xl.ts";

/** Between two tries to resume it. */
const AGAIN_MS = 1_000;

interface PausingOf {
  xl: Pick<Xl, "pause" | "unpause">;
  making: Pick<DomainMaking, "running">;
  saving: DomainSaving;
  /** One that is to hand in what it has goes on, as far as it comes. */
  isEnding(): boolean;
}

export class DomainPausing {
  readonly #of: PausingOf;
  #said: Promise<void> = Promise.resolve();

  constructor(of: PausingOf) {
    this.#of = of;
  }

  async pause(): Promise<void> {
    await this.#of.saving.over();
    await this.#inTurn(() => this.#pauseNow());
  }

  /** What was sent of it meanwhile is its state: whoever had it sent says when it goes on. */
  async resume(): Promise<void> {
    const { saving, making, xl, isEnding } = this.#of;
    const { timesSent } = saving;
    await saving.over();
    if (saving.timesSent !== timesSent) return;
    await this.#inTurn(async () => {
      for (; ; await new Promise((resolve) => setTimeout(resolve, AGAIN_MS)))
        try {
          const found = await making.running();
          if (found.paused) await xl.unpause(found.id);
          return;
        } catch (error) {
          // it is billed from when it was to go on: however long the toolstack does not answer
          if (!(error instanceof XlError) || isEnding()) throw error;
        }
    });
  }

  /** One that is sent while it runs writes on: its kernel cannot suspend itself then, and it is saved. */
  async forRoom(): Promise<void> {
    if (this.#of.isEnding()) return;
    await (this.#of.saving.isLive ? this.#inTurn(() => this.#pauseNow()) : this.pause());
  }

  async #pauseNow(): Promise<void> {
    const found = await this.#of.making.running();
    if (!found.paused) await this.#of.xl.pause(found.id);
  }

  /** Nobody looks whether it is paused while another says so. */
  #inTurn(say: () => Promise<void>): Promise<void> {
    const said = this.#said.then(say);
    this.#said = said.catch(() => {});
    return said;
  }
}
