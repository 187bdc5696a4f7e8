/** Drivers of a test's server that stand still at one point until the test lets them go on, so that a test waits for events and never for time. */
import type { GuestDriver, GuestJob, RunningGuest } from "@xenoservers/xenoserver";

/** A point that work comes to and where it waits. */
export class Gate {
  readonly #arrived = Promise.withResolvers<void>();
  readonly #open = Promise.withResolvers<void>();

  /** Resolves when the work is there. */
  get arrived(): Promise<void> {
    return this.#arrived.promise;
  }
  open(): void {
    this.#open.resolve();
  }
  async pass(): Promise<void> {
    this.#arrived.resolve();
    await this.#open.promise;
  }
}

export interface Gates {
  prepare: Gate | null;
  begin: Gate | null;
  /** Every guest that has begun. */
  begun: RunningGuest[];
}

/** `gates` may be changed between jobs: null lets pass. */
export const gated =
  (gates: Gates) =>
  (driver: GuestDriver): GuestDriver => ({
    ...driver,
    async prepare(job: GuestJob) {
      const prepared = await driver.prepare(job);
      await gates.prepare?.pass();
      return {
        ...prepared,
        async begin() {
          await gates.begin?.pass();
          const guest = await prepared.begin();
          gates.begun.push(guest);
          return guest;
        },
      };
    },
  });
