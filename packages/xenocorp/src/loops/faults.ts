/**
 * Faults as the log has them: one that lasts is told when it begins, when it was counted 10, 100, 1,000… times, and when it is over. One
 * that was not seen for a while begins anew. Who controls the inputs: the database and this program; kinds are few and fixed, one each for
 * what can fail.
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

const FORGOTTEN_MS = 60_000;

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

  /** Of this kind, once more; another message is another fault. `facts`: whose it was, when it is told. */
  failed(what: string, error: unknown, facts: object = {}): void {
    this.#counted(what);
    const says = error instanceof Error ? error.message : String(error);
    const before = this.#lasting.get(what);
    const at = this.#now();
    const times = before?.says === says && at - before.at < FORGOTTEN_MS ? before.times + 1 : 1;
    this.#lasting.set(what, { says, times, at });
    if (isTold(times)) this.#log.error({ ...facts, error: says, times }, what);
  }

  /** What failed before works again. */
  worked(what: string): void {
    const before = this.#lasting.get(what);
    if (before === undefined) return;
    this.#lasting.delete(what);
    this.#log.info({ error: before.says, times: before.times }, `over: ${what}`);
  }
}
