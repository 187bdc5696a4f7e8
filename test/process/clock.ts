/** The time of a test's market: this machine's, which a test can move on. What a program waits for is then due at once, in its order. */
import type { Timers } from "@xenoservers/protocol/link";
import type { GuestDriver, RunningGuest } from "@xenoservers/xenoserver";

interface Waiting {
  at: number;
  action(): void;
  timer: NodeJS.Timeout;
}

export class TestClock implements Timers {
  #aheadMs = 0;
  readonly #waiting = new Set<Waiting>();

  now(): number {
    return Math.floor(Date.now() + this.#aheadMs);
  }

  random(): number {
    return Math.random();
  }

  after(ms: number, action: () => void): () => void {
    const waiting: Waiting = { at: this.now() + ms, action, timer: setTimeout(() => this.#run(waiting), ms) };
    this.#waiting.add(waiting);
    return () => this.#drop(waiting);
  }

  /** Time passes for everything that goes by this clock. */
  advance(ms: number): void {
    this.#aheadMs += ms;
    const due = [...this.#waiting].filter(({ at }) => at <= this.now()).sort((a, b) => a.at - b.at);
    for (const waiting of due) if (this.#waiting.has(waiting)) this.#run(waiting);
  }

  /** Guests' time is billed by this clock too. */
  readonly wrapDriver = (driver: GuestDriver): GuestDriver => {
    const follow = (guest: RunningGuest): RunningGuest => ({
      ...guest,
      ended: guest.ended.then((end) => ({ ...end, endedMonotonicMs: end.endedMonotonicMs + this.#aheadMs })),
    });
    return {
      ...driver,
      monotonicMs: () => driver.monotonicMs() + this.#aheadMs,
      async prepare(job) {
        const prepared = await driver.prepare(job);
        return { ...prepared, begin: async () => follow(await prepared.begin()) };
      },
      async adopt(token, job) {
        const found = await driver.adopt(token, job);
        return found && follow(found);
      },
    };
  };

  #run(waiting: Waiting): void {
    this.#drop(waiting);
    waiting.action();
  }

  #drop(waiting: Waiting): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(waiting);
  }
}
