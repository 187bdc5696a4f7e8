/**
 * The guest's time: a function of the fuel it has used, so that it is the same on every machine. Sleeping moves it and takes no time; a
 * guest that waits holds nobody's computer.
 */

/** About what one core of a current machine does: the virtual clock runs roughly as fast as a real one while the guest computes. */
const FUEL_PER_NS = 10n;

export class Clock {
  readonly #baseNs: bigint;
  readonly #usedFuel: () => bigint;
  #sleptNs: bigint;

  /** `sleptNs`: of a guest that goes on from a breakpoint. */
  constructor(baseNs: bigint, usedFuel: () => bigint, sleptNs = 0n) {
    this.#sleptNs = sleptNs;
    this.#baseNs = baseNs;
    this.#usedFuel = usedFuel;
  }

  monotonicNs(): bigint {
    return this.#usedFuel() / FUEL_PER_NS + this.#sleptNs;
  }

  realtimeNs(): bigint {
    return this.#baseNs + this.monotonicNs();
  }

  get sleptNs(): bigint {
    return this.#sleptNs;
  }

  sleep(ns: bigint): void {
    this.#sleptNs += ns;
  }
}
