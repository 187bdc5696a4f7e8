import type { Timers } from "@xenoservers/protocol/link";

type Clock = Pick<Timers, "now">;

/** Allows `burst` at once and `perSecond` after that. */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #at: number;

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#at = clock.now();
  }

  #refill(): void {
    const now = this.#clock.now();
    this.#tokens = Math.min(this.#burst, this.#tokens + (Math.max(0, now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
  }

  /** Pays where there is enough to pay with; else nothing is paid. */
  take(cost: number): boolean {
    this.#refill();
    if (this.#tokens < cost) return false;
    this.#tokens -= cost;
    return true;
  }

  /** Pays for what has come already, on credit where it must. */
  charge(cost: number): void {
    this.#refill();
    this.#tokens -= cost;
  }

  /** For how many ms nothing more should be taken. */
  owedMs(): number {
    this.#refill();
    return this.#tokens >= 0 ? 0 : Math.ceil((-this.#tokens / this.#perSecond) * 1000);
  }
}

/** A bucket for each of many callers; whoever was not seen for longest is forgotten first. */
export class TokenBuckets {
  readonly #create: () => TokenBucket;
  readonly #rememberedMax: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(rememberedMax: number, create: () => TokenBucket) {
    this.#rememberedMax = rememberedMax;
    this.#create = create;
  }

  of(caller: string): TokenBucket {
    const bucket = this.#buckets.get(caller) ?? this.#create();
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > this.#rememberedMax && oldest !== undefined) this.#buckets.delete(oldest);
    return bucket;
  }
}
