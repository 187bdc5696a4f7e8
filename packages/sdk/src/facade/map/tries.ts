/**
 * Orders of a map that are under way, so that one which was refused for want of funds waits for those that hold them: what is left of them
 * comes back when they are over.
 */

interface Try {
  /** Whether it came to a lease. */
  placed: PromiseWithResolvers<boolean>;
  over: PromiseWithResolvers<void>;
}

export class Tries {
  readonly #all = new Set<Try>();

  /** `work` calls `placed` once its order has come to a lease. */
  async run<T>(work: (placed: () => void) => Promise<T>): Promise<T> {
    const own: Try = { placed: Promise.withResolvers(), over: Promise.withResolvers() };
    this.#all.add(own);
    try {
      return await work(() => own.placed.resolve(true));
    } finally {
      this.#all.delete(own);
      own.placed.resolve(false);
      own.over.resolve();
    }
  }

  /** Once one of those that have come to a lease, or do now, is over; false: none of them has or does. */
  async oneIsOver(): Promise<boolean> {
    const others = [...this.#all];
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const each = others.map(async ({ placed, over }) => {
      if (!(await placed.promise)) return false;
      void over.promise.then(() => resolve(true));
      return true;
    });
    if (!(await Promise.all(each)).includes(true)) return false;
    return promise;
  }
}
