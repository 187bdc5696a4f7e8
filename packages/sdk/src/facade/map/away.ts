/**
 * A broker that cannot be asked for a while (it is started again, the network is gone, it has too much to do) is no input's failure: what
 * was to be ordered is asked again, as long as something was answered in this map not long ago. Who controls the inputs: the broker.
 */
import { isErrorCode, isTakenLater } from "@xenoservers/protocol";
import { MarketError } from "../../errors.ts";
import type { MapWays } from "./ways.ts";

const AGAIN_MS = 1_000;
/** As long as a lease that is followed waits for it, too. */
const AWAY_MS_MAX = 600_000;

const isAway = (error: unknown): boolean => error instanceof MarketError && isErrorCode(error.code) && isTakenLater(error.code);

export class Away {
  readonly #ways: Pick<MapWays, "now" | "sleep">;
  /** Null: nothing was answered yet, and whoever began is told at once. */
  #answeredAt: number | null = null;
  #isSaid = false;

  constructor(ways: Pick<MapWays, "now" | "sleep">) {
    this.#ways = ways;
  }

  answered(): void {
    this.#answeredAt = this.#ways.now();
    this.#isSaid = false;
  }

  /** Whether the same is to be asked again, a moment later. `warn`: told once each time that it is away. */
  async passes(error: unknown, warn: (text: string) => void): Promise<boolean> {
    if (!isAway(error) || this.#answeredAt === null || this.#ways.now() - this.#answeredAt > AWAY_MS_MAX) return false;
    if (!this.#isSaid) warn("the broker cannot be asked now: what is not ordered waits for it, for ten minutes at most");
    this.#isSaid = true;
    await this.#ways.sleep(AGAIN_MS);
    return true;
  }
}
