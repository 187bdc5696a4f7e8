/**
 * Faults as the log has them: one that lasts is told when it begins, when it was counted 10, 100, 1,000… times, and when it is over. Who
 * controls the inputs: the database and this program; kinds are few and fixed, one each for what can fail.
 */

interface FaultLog {
  error(facts: object, what: string): void;
  info(facts: object, what: string): void;
}

interface Lasting {
  says: string;
  times: number;
}

const isTold = (times: number): boolean => /^10*$/.test(String(times));

export class Faults {
  readonly #log: FaultLog;
  readonly #lasting = new Map<string, Lasting>();

  constructor(log: FaultLog) {
    this.#log = log;
  }

  /** Of this kind, once more; another message is another fault. */
  failed(what: string, error: unknown): void {
    const says = error instanceof Error ? error.message : String(error);
    const before = this.#lasting.get(what);
    const times = before?.says === says ? before.times + 1 : 1;
    this.#lasting.set(what, { says, times });
    if (isTold(times)) this.#log.error({ error: says, times }, what);
  }

  /** What failed before works again. */
  worked(what: string): void {
    const before = this.#lasting.get(what);
    if (before === undefined) return;
    this.#lasting.delete(what);
    this.#log.info({ error: before.says, times: before.times }, `over: ${what}`);
  }
}
