/** The jobs of a map that are followed, until the map is over: then each is let go of, also one whose order is answered only after that. */
import type { Job } from "../job.ts";
import type { JobResult } from "../job-result.ts";

export class Followed {
  readonly #jobs = new Set<Job>();
  /** A map with a journal leaves those running that are with their server; another stops them. */
  readonly #stops: boolean;
  #isOver = false;

  constructor(stops: boolean) {
    this.#stops = stops;
  }

  /** Rejects where it is let go of. */
  async result(job: Job): Promise<JobResult> {
    this.#jobs.add(job);
    try {
      if (this.#isOver) await this.#letGo(job);
      return await job.result;
    } finally {
      this.#jobs.delete(job);
    }
  }

  async letGoOfAll(): Promise<void> {
    this.#isOver = true;
    await Promise.all([...this.#jobs].map((job) => this.#letGo(job)));
  }

  async #letGo(job: Job): Promise<void> {
    // one that is not all with its server could not run without this side, and would keep its place there
    if (this.#stops || !job.isThere) await job.stop({ reason: "its customer has ended the map that it is of" }).catch(() => {});
    job.detach();
  }
}
