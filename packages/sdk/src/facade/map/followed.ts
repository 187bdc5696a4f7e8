/** The jobs of a map that are followed, until the map is over: then each is let go of, also one whose order is answered only after that. */
import type { JobResult } from "../job-result.ts";
import type { Followable } from "./ways.ts";

export class Followed {
  /** Each with whether it was ordered by an earlier call, which has brought it. */
  readonly #jobs = new Map<Followable, boolean>();
  /** A map with a journal leaves those running that are with their server; another stops them. */
  readonly #stops: boolean;
  #isOver = false;

  constructor(stops: boolean) {
    this.#stops = stops;
  }

  /** Rejects where it is let go of. */
  async result(job: Followable, isEarlier: boolean): Promise<JobResult> {
    this.#jobs.set(job, isEarlier);
    try {
      if (this.#isOver) await this.#letGo(job, isEarlier);
      return await job.result;
    } finally {
      this.#jobs.delete(job);
    }
  }

  async letGoOfAll(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#jobs].map(([job, isEarlier]) => this.#letGo(job, isEarlier)));
  }

  async #letGo(job: Followable, isEarlier: boolean): Promise<void> {
    // one that is not all with its server could not run without this side, and would keep its place there
    if (this.#stops || !(job.isThere || isEarlier))
      await job.stop({ reason: "its customer has ended the map that it is of" }).catch(() => {});
    job.detach();
  }
}
