/**
 * One job as it is followed: its output, where it stands, and its files once they came, each byte checked. Who controls the inputs: the
 * job and its server (output, names, bytes), the broker (events).
 */
import type { Job, JobFile, Watching } from "@xenoservers/sdk";
import { Pace } from "./pace.ts";
import { RawTail } from "./raw-tail.ts";
import { ScreenText } from "./screen-text.ts";

type Told = Required<Pick<Watching, "onState" | "onSent">>;

type Progress = Parameters<Told["onSent"]>[0];

export interface Sent extends Pick<Progress, "bytes" | "bytesInAll"> {
  /** Null: it is not known yet. */
  bytesPerSecond: number | null;
}

/** How it stands; each change is another object. */
export interface Standing {
  stdout: ScreenText;
  stderr: ScreenText;
  /** In the session's own words; empty: nothing was heard yet. */
  state: string;
  /** What of its bytes has gone to its server from here; null: nothing was sent. */
  sent: Sent | null;
  /** It stands still at its customer's word, as its server says. */
  isPaused: boolean;
  problems: readonly string[];
  files: readonly JobFile[];
  error: unknown;
  isOver: boolean;
  /** All that its server signed has come, and is that. */
  isWhole: boolean;
}

const PROBLEMS_SHOWN = 5;
/** A browser has to lay out anew what it shows. */
const SHOWN_EVERY_MS = 80;
const PROBLEM = "problem: ";

export class Followed {
  /** Rejects where there is none to follow. */
  readonly job: Promise<Job>;
  /** Its bytes are sent from here. */
  readonly hasJob: boolean;
  /** What it prints on stdout, as it came. */
  readonly raw = new RawTail();
  #standing: Standing = {
    ...{ stdout: new ScreenText(), stderr: new ScreenText(), state: "", isPaused: false, sent: null, problems: [], files: [], error: null },
    ...{ isOver: false, isWhole: false },
  };
  #pace: Pace | null = null;
  readonly #listeners = new Set<() => void>();
  /** It will be shown. */
  #isAsked = false;
  #isThere = false;

  /** `open`: orders it, or goes on with what was ordered. */
  constructor(open: (watching: Told) => Promise<Job>, hasJob: boolean) {
    this.hasJob = hasJob;
    this.job = open({ onState: (state) => this.#said(state), onSent: (progress) => this.#sent(progress) });
    void this.#run().catch((error: unknown) => this.#change({ error, isOver: true }));
  }

  readonly standing = (): Standing => this.#standing;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** It cannot run yet without this page. */
  get isSending(): boolean {
    return this.hasJob && !this.#standing.isOver && !this.#isThere;
  }

  /** Lets go; the lease runs on. */
  close(): void {
    void this.job.then(
      (job) => job.detach(),
      () => {},
    );
  }

  async #run(): Promise<void> {
    const job = await this.job;
    void job.running.then(
      () => (this.#isThere = true),
      () => {},
    );
    for await (const { stream, offset, bytes } of job.output) {
      const screen = this.#standing[stream];
      // another server has begun anew
      if (offset === 0) screen.clear();
      screen.add(bytes);
      if (stream === "stdout") this.#held(offset, bytes);
      this.#change({});
    }
    const delivered = await job.delivered;
    this.#change({ isOver: true, isWhole: delivered !== null });
    const { files } = await job.result;
    this.#change({ files });
  }

  #held(offset: number, bytes: Uint8Array): void {
    if (offset === 0 && this.raw.end > 0) this.raw.clear();
    this.raw.add(bytes);
  }

  #sent({ bytes, bytesInAll }: Progress): void {
    const now = performance.now();
    this.#pace ??= new Pace(bytes, now);
    this.#change({ sent: { bytes, bytesInAll, bytesPerSecond: this.#pace.at(bytes, now) } });
  }

  #said(state: string): void {
    // whoever has lost its server knows no more than before
    const isPaused = state === "paused" || (state === "reconnecting" && this.#standing.isPaused);
    if (!state.startsWith(PROBLEM)) return this.#change({ state, isPaused });
    this.#change({ problems: [...this.#standing.problems, state.slice(PROBLEM.length)].slice(-PROBLEMS_SHOWN) });
  }

  /** Shown so often, however much comes. */
  #change(changed: Partial<Standing>): void {
    this.#standing = { ...this.#standing, ...changed };
    if (this.#isAsked) return;
    this.#isAsked = true;
    setTimeout(() => {
      this.#isAsked = false;
      for (const listener of this.#listeners) listener();
    }, SHOWN_EVERY_MS);
  }
}
