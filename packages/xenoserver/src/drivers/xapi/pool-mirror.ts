/**
 * The pool's objects as its own events tell them (event.from), and who waits for something of them. Where events were lost, or the master's
 * database is another, everything is read again from the beginning. Who controls the inputs: the pool.
 */
import type { z } from "zod";
import type { PoolSession } from "./pool-session.ts";
import { CLASSES, RECORDS, isClass, zEvents, zNothing, zRefOut, type Class, type RecordOf } from "./xapi-records.ts";
import { Unanswered, XapiError, isCode } from "./xapi-error.ts";

/** A float by its form too: a whole number is another type to XAPI. */
const WAIT_SECONDS = 30.1;
const AGAIN_MS = 1_000;
/** A pool that lets nobody in may lock the account of who asks too often. */
const AGAIN_MS_MAX = 60_000;
/** Longer than what a pool of slow disks takes to write a machine's memory. */
const TASK_MS_MAX = 3_600_000;
const FROM_THE_BEGINNING = "";
const LOST = ["EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE", "SESSION_NOT_REGISTERED"];
/** So many tasks that the pool has no more are remembered: one may be gone before the call that made it is answered. */
const DESTROYED_MAX = 1_000;
const PENDING = ["pending", "cancelling"];

export type PoolLog = (what: string, facts: Record<string, unknown>) => void;

type Tables = { [C in Class]: Map<string, RecordOf<C>> };
const emptyTables = (): Tables => ({
  ...{ vm: new Map(), host: new Map(), host_metrics: new Map(), sr: new Map(), pool: new Map() },
  ...{ vdi: new Map(), vbd: new Map(), pbd: new Map(), network: new Map(), vif: new Map(), task: new Map(), console: new Map() },
});

function put<C extends Class>(table: Map<string, RecordOf<C>>, schema: z.ZodType<RecordOf<C>>, ref: string, snapshot: unknown): void {
  const record = schema.safeParse(snapshot);
  if (record.success) table.set(ref, record.data);
}

export class PoolMirror {
  readonly #session: PoolSession;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #log: PoolLog;
  readonly #taskMs: number;
  readonly #closing = new AbortController();
  readonly #told = new Set<() => void>();
  #tables = emptyTables();
  #token = FROM_THE_BEGINNING;
  /** Tasks, the latest last. */
  readonly #destroyed = new Set<string>();
  /** How often everything was read. */
  #readings = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(session: PoolSession, wait: (ms: number) => Promise<void>, log: PoolLog, taskMs = TASK_MS_MAX) {
    this.#session = session;
    this.#wait = wait;
    this.#log = log;
    this.#taskMs = taskMs;
  }

  /** Returns when all that the pool has is known. Throws what the pool says where it lets nobody in. */
  async start(): Promise<void> {
    await this.#session.call(zNothing, "pool.get_all"); // whoever is the master is found by it
    await this.#read();
    this.#loop = this.#follow();
  }

  of<C extends Class>(name: C): ReadonlyMap<string, RecordOf<C>> {
    return this.#tables[name];
  }

  onChange(told: () => void): () => void {
    this.#told.add(told);
    return () => this.#told.delete(told);
  }

  /** Once `look` finds something; looked at after every change. */
  until<T>(look: () => T | null, signal?: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.onChange(() => turn());
      const over = (): void => {
        stop();
        signal?.removeEventListener("abort", aborted);
        this.#closing.signal.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        over();
        reject(signal?.aborted === true ? signal.reason : new Error("the connection to the pool is closed"));
      };
      const turn = (): void => {
        const found = look();
        if (found === null) return;
        over();
        resolve(found);
      };
      signal?.addEventListener("abort", aborted);
      this.#closing.signal.addEventListener("abort", aborted);
      if (signal?.aborted === true || this.#closing.signal.aborted) aborted();
      else turn();
    });
  }

  /** One that may take long, as a task: what it came to. Throws XapiError, or Unanswered where nobody knows. */
  run(method: string, ...params: readonly unknown[]): Promise<string> {
    return this.runUntil(undefined, method, ...params);
  }

  /** The same, as long as somebody wants it: the pool is asked to leave off what nobody does. */
  async runUntil(signal: AbortSignal | undefined, method: string, ...params: readonly unknown[]): Promise<string> {
    const before = this.#readings;
    return this.#outcome(await this.#session.call(zRefOut, `Async.${method}`, ...params), method, before, signal);
  }

  /** With a task of this server's own, by which the pool says what came of what it tells nobody who waits for an answer. */
  async withTask(method: string, call: (task: string) => Promise<void>, signal?: AbortSignal): Promise<void> {
    const before = this.#readings;
    const task = await this.#session.call(zRefOut, "task.create", "xenoserver", method);
    try {
      await call(task);
    } catch (error) {
      await this.#session.call(zNothing, "task.destroy", task).catch(() => {}); // the pool forgets it by itself
      throw error;
    }
    await this.#outcome(task, method, before, signal);
  }

  /** Some tasks never end: those are given up, and what they have done is looked for as where nobody answered. */
  async #outcome(ref: string, method: string, before: number, signal?: AbortSignal): Promise<string> {
    const late = AbortSignal.timeout(this.#taskMs);
    const ended = (): RecordOf<"task"> | "gone" | null => {
      const found = this.#tables.task.get(ref);
      if (found) return PENDING.includes(found.status) ? null : found;
      return this.#readings > before || this.#destroyed.has(ref) ? "gone" : null;
    };
    const task = await this.until(ended, AbortSignal.any([late, ...(signal ? [signal] : [])])).catch((error: unknown) => {
      // one that cannot be left off goes on, and so does each whose daemon stops
      if (!this.#closing.signal.aborted) void this.#session.call(zNothing, "task.cancel", ref).catch(() => {});
      if (late.aborted && signal?.aborted !== true) return "gone" as const;
      throw error;
    });
    if (task === "gone") throw new Unanswered(method);
    await this.#session.call(zNothing, "task.destroy", ref).catch(() => {}); // the pool forgets it by itself
    const [code, ...facts] = task.error_info;
    if (task.status !== "success") throw new XapiError(method, code ?? task.status, facts);
    return /^<value>(.*)<\/value>$/s.exec(task.result)?.[1] ?? task.result;
  }

  #drop(tables: Tables, name: Class, ref: string): void {
    tables[name].delete(ref);
    if (name !== "task") return;
    this.#destroyed.add(ref);
    const [oldest] = this.#destroyed;
    if (this.#destroyed.size > DESTROYED_MAX && oldest !== undefined) this.#destroyed.delete(oldest);
  }

  async #read(): Promise<void> {
    const isWhole = this.#token === FROM_THE_BEGINNING;
    const answer = await this.#session.callOnce(this.#closing.signal, zEvents, "event.from", CLASSES, this.#token, WAIT_SECONDS);
    const tables = isWhole ? emptyTables() : this.#tables;
    for (const { class: name, operation, ref, snapshot } of answer.events) {
      const known = name.toLowerCase();
      if (!isClass(known)) continue;
      if (operation === "del") this.#drop(tables, known, ref);
      else put(tables[known], RECORDS[known], ref, snapshot);
    }
    this.#tables = tables;
    this.#token = answer.token;
    if (isWhole) this.#readings++;
    this.#session.knows([...tables.host.values()].map(({ address }) => address));
    for (const told of [...this.#told]) told();
  }

  async #follow(): Promise<void> {
    let again = AGAIN_MS;
    while (!this.#closing.signal.aborted)
      try {
        await this.#read();
        again = AGAIN_MS;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        this.#token = FROM_THE_BEGINNING;
        this.#log("events of the pool were lost: all of it is read again", { why: (error as Error).message });
        if (isCode(error, ...LOST)) continue;
        await this.#wait(again);
        again = Math.min(again * 2, AGAIN_MS_MAX);
      }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }
}
