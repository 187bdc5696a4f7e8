/** What a job came to, also where there is nothing that it came to. */
import type { LeaseView } from "@xenoservers/protocol";
import { NotStartedError, type Job, type JobResult } from "@xenoservers/sdk";

export interface Came {
  lease: LeaseView;
  /** Null where no server took it. */
  result: JobResult | null;
}

/** The end of the lease, and what came of it. Rejects as the job's result does. */
export async function cameTo(job: Job): Promise<Came> {
  const result = await job.result.catch(async (error: unknown) => {
    const isUntaken = async (): Promise<boolean> => (await job.ended).end === null;
    if (error instanceof NotStartedError && (await isUntaken().catch(() => false))) return null;
    throw error;
  });
  return { lease: await job.ended, result };
}
