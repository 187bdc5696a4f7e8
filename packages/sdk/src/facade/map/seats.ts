/**
 * How jobs of a map come to their leases: each by itself, or several as one. Those that are one wait for each other, are held for once, and
 * are signed for once; those that it leaves undone come together again, or have leases of their own, one after the other.
 */
import type { MapBudget } from "./budget.ts";
import type { Pace } from "./pace.ts";
import { ApartError, type Followable, type MapOrder, type MapPlan, type MapWays } from "./ways.ts";

/** `run`: which of the order's runs it is; null: the order is for it alone. */
interface SeatOrder extends Omit<MapOrder, "onSigned"> {
  onSigned(order: string, run: number | null): Promise<void>;
}

/** Of one job, for one order after the other. */
export interface Seat {
  /** What of the budget is held for its next order; null: it is used up. */
  hold(): Promise<bigint | null>;
  order(how: SeatOrder): Promise<Followable>;
  /** Its next order is for it alone. */
  alone(): void;
}

interface SeatWays {
  ways: Pick<MapWays, "orderTogether">;
  budget: Pick<MapBudget, "hold">;
  pace: Pace;
}

/** Told what it used, as soon as that is known. */
function learns(pace: Pace, job: Followable, jobs: number): void {
  void job.ended.then(
    ({ end }) => {
      if (end?.reason === "completed")
        pace.learn({ jobs, ms: end.billableMs, fuel: BigInt(end.billableFuel), costNanos: BigInt(end.dueNanos) });
    },
    () => {},
  );
}

/** Of a job by itself. */
export function ownSeat({ budget, pace }: SeatWays, plan: MapPlan): Seat {
  return {
    hold: async () => ((await budget.hold(plan.budgetNanos)) ? plan.budgetNanos : null),
    async order({ onSigned, ...how }) {
      const job = await plan.order({ ...how, onSigned: (order) => onSigned(order, null) });
      learns(pace, job, 1);
      return job;
    },
    alone: () => {},
  };
}

interface Waiting {
  held: PromiseWithResolvers<bigint | null>;
  isAlone: boolean;
}

interface Asked {
  how: SeatOrder;
  job: PromiseWithResolvers<Followable>;
}

/** Those that one order is for, in their order. */
interface Round {
  members: number[];
  asked: Map<number, Asked>;
}

export class Together {
  readonly #shared: SeatWays;
  readonly #plans: readonly MapPlan[];
  /** Not over. */
  readonly #live: Set<number>;
  readonly #alone = new Set<number>();
  readonly #waiting = new Map<number, Waiting>();
  #round: Round | null = null;

  constructor(shared: SeatWays, plans: readonly MapPlan[]) {
    this.#shared = shared;
    this.#plans = plans;
    this.#live = new Set(plans.keys());
  }

  seat(index: number): Seat {
    return {
      hold: () => {
        const held = Promise.withResolvers<bigint | null>();
        this.#waiting.set(index, { held, isAlone: this.#alone.has(index) });
        this.#begin();
        return held.promise;
      },
      order: (how) => {
        const job = Promise.withResolvers<Followable>();
        this.#round?.asked.set(index, { how, job });
        this.#order();
        return job.promise;
      },
      alone: () => void this.#alone.add(index),
    };
  }

  /** It comes to no order any more. */
  leave(index: number): void {
    this.#live.delete(index);
    if (this.#round) this.#round.members = this.#round.members.filter((each) => each !== index);
    this.#order();
    this.#begin();
  }

  /** Once all that are not over wait: what an order is under way for does not. */
  #begin(): void {
    if (this.#live.size === 0 || this.#waiting.size < this.#live.size) return;
    const all = [...this.#waiting].sort(([a], [b]) => a - b);
    const together = all.filter(([, { isAlone }]) => !isAlone);
    const now = together.length > 0 ? together : all.slice(0, 1);
    for (const [index] of now) this.#waiting.delete(index);
    this.#round = { members: now.map(([index]) => index), asked: new Map() };
    void this.#hold(now);
  }

  /** As much as one job may cost is the most for all of them, in equal parts. */
  async #hold(now: readonly (readonly [number, Waiting])[]): Promise<void> {
    const [[first] = [0]] = now;
    const most = this.#plans[first]!.budgetNanos;
    try {
      const isHeld = await this.#shared.budget.hold(most);
      const part = most / BigInt(now.length);
      for (const [i, [, { held }]] of now.entries()) held.resolve(isHeld ? (i === 0 ? most - part * BigInt(now.length - 1) : part) : null);
    } catch (error) {
      for (const [, { held }] of now) held.reject(error);
    }
  }

  /** Once all that are of this round ask, or have left it. */
  #order(): void {
    const round = this.#round;
    if (!round || round.members.length === 0 || round.asked.size === 0) return;
    if (round.members.some((index) => !round.asked.has(index))) return;
    this.#round = null;
    const asked = round.members.map((index) => ({ index, ...round.asked.get(index)! }));
    this.#ordered(asked).then(
      (jobs) => asked.forEach(({ job }, i) => job.resolve(jobs[i]!)),
      (error: unknown) => asked.forEach(({ job }) => job.reject(error)),
    );
  }

  async #ordered(asked: readonly (Asked & { index: number })[]): Promise<Followable[]> {
    const { ways, pace } = this.#shared;
    const [{ index, how } = { index: 0, how: null }] = asked;
    if (how === null) return [];
    if (asked.length === 1) return [await ownSeat(this.#shared, this.#plans[index]!).order(how)];
    const plans = asked.map((each) => this.#plans[each.index]!);
    const together = ways.orderTogether(plans, {
      // where the map's hold does not reach for all of them, they have one of their own
      ...{
        batch: asked.every((each) => each.how.batch !== null) ? how.batch : null,
        signal: how.signal,
        fuelMax: pace.fuelMax(plans.length, plans[0]!.joins!),
      },
      holdNanos: asked.reduce((sum, each) => sum + each.how.holdNanos, 0n),
      onSigned: async (order) => void (await Promise.all(asked.map((each, run) => each.how.onSigned(order, run)))),
    });
    const jobs = await together.catch((error: unknown) => {
      if (error instanceof ApartError) pace.off();
      throw error;
    });
    learns(pace, jobs[0]!, jobs.length);
    return jobs;
  }
}
