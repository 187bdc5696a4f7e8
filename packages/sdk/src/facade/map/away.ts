/**
 * A broker that cannot be asked for a while (it is started again, the network is gone, it has too much to do) is no input's failure: what
 * was to be ordered is asked again, for ten minutes since it was first away. Who controls the inputs: the broker.
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
  /** Where nothing was answered yet, whoever began is told at once. */
  #wasThere = false;
  /** The first and the last time that it could not be asked. */
  #away: { since: number; last: number } | null = null;
  #isSaid = false;

  constructor(ways: Pick<MapWays, "now" | "sleep">) {
    this.#ways = ways;
  }

  answered(): void {
    this.#wasThere = true;
    this.#away = null;
    this.#isSaid = false;
  }

  /** Whether the same is to be asked again, a moment later. `warn`: told once each time that it is away. */
  async passes(error: unknown, warn: (text: string) => void): Promise<boolean> {
    if (!isAway(error) || !this.#wasThere) return false;
    const now = this.#ways.now();
    // after a while in which nobody asked it is away anew
    if (this.#away === null || now - this.#away.last > AWAY_MS_MAX) this.#away = { since: now, last: now };
    this.#away.last = now;
    if (now - this.#away.since > AWAY_MS_MAX) return false;
    if (!this.#isSaid) warn("the broker cannot be asked now: what is not ordered waits for it, for ten minutes at most");
    this.#isSaid = true;
    await this.#ways.sleep(AGAIN_MS);
    return true;
  }
}
