/**
 * One program on several files, some at once: what became of each. What was ordered runs on where the page is closed; what was not is not
 * ordered any more. Who controls the inputs: whoever fills in the form (names), servers (results).
 */
import { InputError, type JobResult, type RunInput } from "@xenoservers/sdk";
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
  begin(input: RunInput): Promise<Begun>;
  stop(lease: string): Promise<unknown>;
}

/** So many at once. */
export const AT_ONCE = 4;
const NOT_OVER: readonly RowState[] = ["waits", "ordering", "running"];

export class Several {
  readonly #ways: Ways;
  readonly #listeners = new Set<() => void>();
  #rows: readonly Row[];
  #isEnded = false;

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

  /** Orders nothing more, and stops what runs. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.#rows = this.#rows.map((row) => (row.state === "waits" ? { ...row, state: "left" } : row));
    this.#tell();
    const stops = this.#rows.flatMap(({ state, lease }) => (state === "running" && lease !== null ? [this.#ways.stop(lease)] : []));
    await Promise.all(stops);
  }

  async #work(left: { input: RunInput; index: number }[]): Promise<void> {
    for (let next = left.shift(); next && !this.#isEnded; next = left.shift()) await this.#one(next.index, next.input);
  }

  async #one(index: number, input: RunInput): Promise<void> {
    this.#change(index, { state: "ordering" });
    try {
      const { lease, result } = await this.#ways.begin(input);
      this.#change(index, { state: "running", lease });
      // it was bound while the others were ended
      if (this.#isEnded) await this.#ways.stop(lease);
      this.#change(index, { state: "over", result: await result });
    } catch (error) {
      this.#change(index, { state: "failed", error });
      // the next one would be refused for the same
      if (error instanceof InputError) await this.end().catch(() => {});
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
