/**
 * Faults as the log has them: one that lasts is told when it begins, when it was counted 10, 100, 1,000… times, and when it is over. One
 * that was not seen for a while begins anew. Who controls the inputs: the database and this program; kinds are few and fixed, one each for
 * what can fail; what else they last by is forgotten after a while.
 */

interface FaultLog {
  error(facts: object, what: string): void;
  info(facts: object, what: string): void;
}

interface Lasting {
  says: string;
  times: number;
  at: number;
}

/** Longer than the rhythm of what runs seldom. */
const FORGOTTEN_MS = 600_000;

const isTold = (times: number): boolean => /^10*$/.test(String(times));

export class Faults {
  readonly #log: FaultLog;
  readonly #counted: (what: string) => void;
  readonly #now: () => number;
  readonly #lasting = new Map<string, Lasting>();

  /** `counted` is told of each, of which the log has few. */
  constructor(log: FaultLog, counted: (what: string) => void = () => {}, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#now = now;
    this.#counted = counted;
  }

  /**
   * Of this kind, once more; another message is another fault. `facts`: whose it was, when it is told. `key`: what it lasts by, where that
   * is not its kind alone.
   */
  failed(what: string, error: unknown, facts: object = {}, key = what): void {
    this.#counted(what);
    const says = error instanceof Error ? error.message : String(error);
    const at = this.#now();
    const before = this.#lasting.get(key);
    const lasts = before?.says === says && at - before.at < FORGOTTEN_MS;
    if (!lasts) this.#forget(at);
    const times = lasts ? before.times + 1 : 1;
    this.#lasting.set(key, { says, times, at });
    if (isTold(times)) this.#log.error({ ...facts, error: says, times }, what);
  }

  #forget(now: number): void {
    for (const [key, { at }] of this.#lasting) if (now - at >= FORGOTTEN_MS) this.#lasting.delete(key);
  }

  /** What failed before works again. */
  worked(what: string): void {
    const before = this.#lasting.get(what);
    if (before === undefined) return;
    this.#lasting.delete(what);
    this.#log.info({ error: before.says, times: before.times }, `over: ${what}`);
  }
}
