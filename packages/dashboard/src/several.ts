/**
 * One program on several files, some at once: what became of each. What was ordered runs on where the page is closed; what was not is not
 * ordered any more. Who controls the inputs: whoever fills in the form (names), servers (results).
 */
import { MarketError, type JobResult, type RunInput } from "@xenoservers/sdk";
import type { NamedRun } from "./program.ts";

/** `waits`: it is not ordered yet; `left`: it never is. */
export type RowState = "waits" | "ordering" | "running" | "over" | "failed" | "left";
export interface Row {
  name: string;
  state: RowState;
  lease: string | null;
  result: JobResult | null;
  error: unknown;
}

export interface Begun {
  lease: string;
  result: Promise<JobResult>;
}
interface Ways {
  /** Called off, it orders nothing, or withdraws what waits for room. */
  begin(input: RunInput, signal: AbortSignal): Promise<Begun>;
  stop(lease: string): Promise<unknown>;
}

/** So many at once. */
export const AT_ONCE = 4;
const NOT_OVER: readonly RowState[] = ["waits", "ordering", "running"];

export class Several {
  readonly #ways: Ways;
  readonly #listeners = new Set<() => void>();
  readonly #ending = new AbortController();
  #rows: readonly Row[];
  /** Nothing more is ordered. */
  #isClosed = false;

  constructor(runs: readonly NamedRun[], ways: Ways) {
    this.#ways = ways;
    this.#rows = runs.map(({ name }) => ({ name, state: "waits", lease: null, result: null, error: null }));
    const left = runs.map(({ input }, index) => ({ input, index }));
    for (let i = 0; i < AT_ONCE; i++) void this.#work(left);
  }

  readonly rows = (): readonly Row[] => this.#rows;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  get isOver(): boolean {
    return !this.#rows.some(({ state }) => NOT_OVER.includes(state));
  }

  /** Orders nothing more, withdraws what waits for room, and stops what runs. */
  async end(): Promise<void> {
    this.letGo();
    const stops = this.#rows.flatMap(({ state, lease }) => (state === "running" && lease !== null ? [this.#ways.stop(lease)] : []));
    await Promise.all(stops);
  }

  /** Orders nothing more, and withdraws what waits for room: nobody would be there to take it. What runs runs on. */
  letGo(): void {
    this.orderNoMore();
    this.#ending.abort();
  }

  /** What was ordered runs on, or waits on. */
  orderNoMore(): void {
    this.#isClosed = true;
    this.#rows = this.#rows.map((row) => (row.state === "waits" ? { ...row, state: "left" } : row));
    this.#tell();
  }

  async #work(left: { input: RunInput; index: number }[]): Promise<void> {
    for (let next = left.shift(); next && !this.#isClosed; next = left.shift()) await this.#one(next.index, next.input);
  }

  async #one(index: number, input: RunInput): Promise<void> {
    const { signal } = this.#ending;
    this.#change(index, { state: "ordering" });
    try {
      const { lease, result } = await this.#ways.begin(input, signal);
      this.#change(index, { state: "running", lease });
      // it was bound while the others were ended; where it cannot be stopped it runs on, in its row
      if (signal.aborted) await this.#ways.stop(lease).catch(() => {});
      this.#change(index, { state: "over", result: await result });
    } catch (error) {
      const isOrdering = this.#rows[index]?.state === "ordering";
      this.#change(index, signal.aborted && isOrdering ? { state: "left" } : { state: "failed", error });
      // the next order would be refused for the same; what runs goes on
      if (isOrdering && error instanceof MarketError && !error.retryable) this.orderNoMore();
    }
  }

  #change(index: number, changed: Partial<Row>): void {
    this.#rows = this.#rows.map((row, i) => (i === index ? { ...row, ...changed } : row));
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}
