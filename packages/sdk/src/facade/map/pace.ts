/**
 * How many of a map's jobs are one lease: one, until it is known how long one takes; then as many as make a lease worth its own cost, fewer
 * where jobs are long, where little is left to keep every place busy, and where all together could meet a limit that is meant for one. Who
 * controls the inputs: the broker (what leases used).
 */
import { FUEL_PER_GUEST_SECOND } from "@xenoservers/market";
import { RUNS_MAX } from "@xenoservers/protocol";

/** Work of one lease. */
const AIM_MS = 1_500;
/** Less than so much work is not divided any more. */
const LEAST_MS = 250;
/** No job is taken to be shorter: it is made ready, too. */
const JOB_MS_MIN = 5;
/** A job's work takes no longer than so many times what a guest's clock says, but where its server does others' meanwhile. */
const SLOWEST = 3;
/** Of what one job may use, all of a lease use at most a fraction. */
const LIMIT_SHARE = 4;

/** So many times as much as was used before stops a lease of several: one that never ends costs no more than that before it is alone. */
const FUEL_TIMES = 16n;

/** What jobs used that ended. */
export interface Used {
  jobs: number;
  ms: number;
  fuel: bigint;
  costNanos: bigint;
}

/** What one job may use, which is what a lease may, however many it serves. */
export interface Limits {
  ms: number;
  fuel: bigint;
  costNanos: bigint;
}

const least = (numbers: readonly number[]): number => Math.min(...numbers);

export class Pace {
  readonly #used: Used = { jobs: 0, ms: 0, fuel: 0n, costNanos: 0n };
  #isOff = false;

  /** Each is a lease of its own from now on. */
  off(): void {
    this.#isOff = true;
  }

  learn({ jobs, ms, fuel, costNanos }: Used): void {
    const used = this.#used;
    used.jobs += jobs;
    used.ms += ms;
    used.fuel += fuel;
    used.costNanos += costNanos;
  }

  /** Of so many that are left, for so many places. */
  size(left: number, parallel: number, limits: Limits): number {
    const { jobs, ms, fuel, costNanos } = this.#used;
    if (this.#isOff || jobs === 0) return 1;
    const each = Math.max(JOB_MS_MIN, Math.min(ms, SLOWEST * guestMs(fuel)) / jobs);
    const most = least([RUNS_MAX, AIM_MS / each, limits.ms / LIMIT_SHARE / each]);
    const within = least([withinLimit(limits.fuel, fuel, jobs), withinLimit(limits.costNanos, costNanos, jobs), Number(limits.costNanos)]);
    const share = Math.max(Math.ceil(left / (2 * parallel)), least([Math.ceil(left / parallel), LEAST_MS / each]));
    return Math.max(1, Math.floor(least([most, within, share, left])));
  }

  /** What so many may use together, of what one may. */
  fuelMax(count: number, { fuel: limit }: Pick<Limits, "fuel">): bigint {
    const { jobs, fuel } = this.#used;
    if (jobs === 0) return limit;
    const most = maxFuel(FUEL_PER_GUEST_SECOND, (FUEL_TIMES * BigInt(count) * fuel) / BigInt(jobs));
    return most < limit ? most : limit;
  }
}

const maxFuel = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** By a guest's own clock. */
const guestMs = (fuel: bigint): number => Number((fuel * 1_000n) / FUEL_PER_GUEST_SECOND);

/** How many fit into a fraction of a limit, if each uses as much as those did. */
const withinLimit = (limit: bigint, used: bigint, jobs: number): number =>
  used <= 0n ? RUNS_MAX : Number((limit * BigInt(jobs)) / (BigInt(LIMIT_SHARE) * used));
