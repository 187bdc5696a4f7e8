/** The same job ordered on servers of several owners, and followed as one. Who controls the inputs: the broker, by its answers. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { MarketClient } from "../client.ts";
import { placeReplicas } from "../placing.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { ReplicasRun } from "../replicas.ts";
import type { Here } from "./here.ts";
import type { Job } from "./job.ts";
import type { Prepared } from "./prepared-run.ts";
import { ReplicatedJob, type ReplicasWatching } from "./replicated-job.ts";
import { writeOf } from "./write-of.ts";

/** What they need of their market. */
export interface ReplicasMeans {
  client: MarketClient;
  here: Here;
  /** Keeps the job before it is ordered so. */
  placed(place: () => Promise<BoundOrder[]>): Promise<BoundOrder[]>;
  check(lease: string): Promise<ReceiptVerification>;
  /** Followed now. */
  jobs: Set<Job | ReplicatedJob>;
}

export async function replicasOrdered(
  { client, here, placed, check, jobs }: ReplicasMeans,
  { planned, wanted, work }: Prepared,
  watching: ReplicasWatching,
): Promise<ReplicatedJob> {
  const { noAudit = false } = watching;
  const bounds = await placed(() => placeReplicas(client, wanted, work.jobHash));
  const keep = (lease: string): Promise<unknown> => here.keepReceipt(client, lease);
  const means = { wantsFiles: planned.files !== "left", budgetNanos: wanted.budgetNanos, noAudit, keep };
  const ways = {
    follow: (watch, unjudged) => new ReplicasRun(client, bounds, work, { ...means, watch, signal: unjudged }),
    write: writeOf(planned),
    check,
    over: () => void jobs.delete(job),
  } satisfies ConstructorParameters<typeof ReplicatedJob>[0];
  const job: ReplicatedJob = new ReplicatedJob(ways, bounds.length, watching);
  jobs.add(job);
  return job;
}
