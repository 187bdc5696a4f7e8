/**
 * What an owner does about a verdict on a lease of its xenoserver: a second referee runs what the first one ran. The job comes from the
 * xenoserver, which keeps it until no appeal can come; of a part the state that it begins from is made here. Who controls the inputs: the
 * program that calls; the broker (lease, verdict, review).
 */
import { nodeCrypto } from "@xenoservers/protocol/node";
import { canonicalBytes, toHex } from "@xenoservers/protocol";
import { hasBreakpoints, type BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { appealVerdict, convictionOf, type Conviction } from "../dispute-appeal.ts";
import type { RefereeRun } from "../dispute-run.ts";
import { InputError, KeptError } from "../errors.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import { assertJudging, type JudgingOptions } from "../facade/doubting.ts";
import { segmentJob } from "../segment.ts";
import { budgetIn, shortId } from "../words.ts";
import { rebuilt, type Kept, type KeptJob, type KeptWork } from "./kept-job.ts";
import type { JobTracer } from "./rerun.ts";

/** What an appeal takes. */
export interface AppealTerms {
  lease: string;
  /** The most that the second referee's run costs. */
  budgetNanos: bigint;
  /** The first referee ran this part alone; null: the whole job. */
  part: number | null;
}

/** How a verdict is appealed against. */
export interface AppealOptions extends JudgingOptions<AppealTerms> {
  /** The job as the xenoserver keeps it, by its lease. */
  work(lease: string): KeptWork | Promise<KeptWork>;
  /** Finds the job's states here; needed where the first referee ran one part. */
  trace?: JobTracer;
}

/** What came of an appeal. */
export interface Appeal {
  lease: string;
  /** The second referee's run. */
  run: RefereeRun;
  /** The first referee was wrong: stake and record are as before. */
  overturned: boolean;
  /** The referee's own words. */
  why: string;
}

interface Ran {
  job: BuiltWork;
  close(): void | Promise<void>;
}

/** Nothing of another job is run in its place: it would come to something else, and bear the verdict out. */
function assertOrdered({ spec }: KeptWork, { order: { jobHash }, view }: Conviction): void {
  if (toHex(nodeCrypto.sha256(canonicalBytes(spec))) !== jobHash)
    throw new KeptError(`what is kept of lease ${shortId(view.id)} is another job than was ordered (${shortId(jobHash)})`);
}

const isModule = (work: KeptWork): work is Kept<KeptJob> => "module" in work.spec;

/** What the first referee ran: all of the job, or the part that the verdict names, from a state that is made here. */
async function ranBy(work: KeptWork, { part, order, view }: Conviction, trace: JobTracer | undefined): Promise<Ran> {
  const job = await rebuilt(work, order.jobHash);
  if (part === null) return { job, close: () => {} };
  if (!isModule(work) || !hasBreakpoints(job)) throw new KeptError(`the verdict on lease ${shortId(view.id)} names a part of no module`);
  if (!trace) throw new InputError("the first referee ran one part of the job: `trace` has to find the state that it begins from");
  const own = await trace(work, BigInt(part.step), part.upTo === null ? null : BigInt(part.upTo));
  try {
    return { job: await segmentJob(job, own.roots, part, [own]), close: () => own.close() };
  } catch (error) {
    await own.close();
    throw error;
  }
}

/** By the first letters of the lease's id. Throws RefusedError, KeptError, GivenUpError. */
export async function appeal(client: MarketClient, id: string, options: AppealOptions): Promise<Appeal> {
  const { work, trace, budget, onTerms, signal } = options;
  assertJudging(id, options);
  if (typeof work !== "function") throw new InputError("work must be a function that gives what the xenoserver keeps of the lease");
  if (trace !== undefined && typeof trace !== "function") throw new InputError("trace must be a function");
  assertWanted(signal);
  const convicted = await unlessOff(signal, convictionOf(client, id));
  const { view, order, part } = convicted;
  const kept = await unlessOff(signal, Promise.resolve(work(view.id)));
  assertOrdered(kept, convicted);
  const budgetNanos = budgetIn(budget ?? BigInt(order.budgetNanos));
  await onTerms?.({ lease: view.id, budgetNanos, part: part?.index ?? null });
  assertWanted(signal);
  const { job, close } = await ranBy(kept, convicted, trace);
  try {
    assertWanted(signal);
    const { run, review } = await appealVerdict(client, convicted, job, budgetNanos, signal);
    return { lease: view.id, run, overturned: review.overturned, why: review.why };
  } finally {
    await close();
  }
}
