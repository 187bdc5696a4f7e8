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
  /** What is the same fault, however it is worded. */
  same: string;
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
  readonly #sameAs: (error: unknown) => string | null;
  readonly #lasting = new Map<string, Lasting>();

  /**
   * `counted` is told of each, of which the log has few. `sameAs`: a name for what comes in many words and is one fault; null: its words.
   */
  constructor(
    log: FaultLog,
    counted: (what: string) => void = () => {},
    now: () => number = () => performance.now(),
    sameAs: (error: unknown) => string | null = () => null,
  ) {
    this.#log = log;
    this.#sameAs = sameAs;
    this.#now = now;
    this.#counted = counted;
  }

  /**
   * Of this kind, once more; another message is another fault, but where both are the same by `sameAs`. `facts`: whose it was, when it is
   * told. `key`: what it lasts by, where that is not its kind alone.
   */
  failed(what: string, error: unknown, facts: object = {}, key = what): void {
    this.#counted(what);
    const says = error instanceof Error ? error.message : String(error);
    const at = this.#now();
    const before = this.#lasting.get(key);
    const same = this.#sameAs(error) ?? says;
    const lasts = before?.same === same && at - before.at < FORGOTTEN_MS;
    if (!lasts) this.#forget(at);
    const times = lasts ? before.times + 1 : 1;
    this.#lasting.set(key, { says, same, times, at });
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
