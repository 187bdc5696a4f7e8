/** How far a map has come, told whenever that changes. */
import type { MapProgress } from "./options.ts";

interface End {
  ok: boolean;
  isEarlier: boolean;
  /** Of all by now. */
  costNanos: bigint;
}

const MS = 1_000;

export class MapTally {
  readonly #all: number;
  readonly #now: () => number;
  readonly #tell: ((progress: MapProgress) => void) | null;
  readonly #began: number;
  #done = 0;
  #failed = 0;
  #running = 0;
  #earlier = 0;
  #costNanos = 0n;

  constructor(all: number, now: () => number, tell: ((progress: MapProgress) => void) | null) {
    this.#all = all;
    this.#now = now;
    this.#tell = tell;
    this.#began = now();
  }

  get done(): number {
    return this.#done;
  }

  begins(): void {
    this.#running++;
    this.#tell?.(this.#progress());
  }

  ends({ ok, isEarlier, costNanos }: End): void {
    this.#running--;
    this.#done++;
    if (!ok) this.#failed++;
    if (isEarlier) this.#earlier++;
    this.#costNanos = costNanos;
    this.#tell?.(this.#progress());
  }

  #progress(): MapProgress {
    const [all, done, earlier] = [this.#all, this.#done, this.#earlier];
    const ms = this.#now() - this.#began;
    const perSecond = ms > 0 ? ((done - earlier) * MS) / ms : 0;
    return {
      ...{ all, done, failed: this.#failed, running: this.#running, earlier, costNanos: this.#costNanos, perSecond },
      estimateNanos: done === 0 ? null : (this.#costNanos * BigInt(all)) / BigInt(done),
      leftMs: perSecond === 0 ? null : Math.ceil(((all - done) * MS) / perSecond),
    };
  }
}
