/** A run that comes to nothing that can be concluded from: in words, with what becomes of its order. */
import { AbortedError, BrokenPurchaseOrder, GivenUpError, NotStartedError, shortId, type Job } from "@xenoservers/sdk";
import { LEFT_SAYS } from "../output/interrupt.ts";
import { UserError } from "../output/ui.ts";

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** For `catch`. `job`: where it was followed here. */
export async function failRun(error: unknown, job: Job | null = null): Promise<never> {
  const isOver = await (job?.ended.then(
    () => true,
    () => false,
  ) ?? false);
  // it is over, and what is missing is its receipt; or it was let go of here, and runs on
  if (isOver || error instanceof AbortedError || error instanceof BrokenPurchaseOrder) throw error;
  if (error instanceof NotStartedError) throw new UserError(`${error.message}; ${LEFT_SAYS[error.left ?? "unheard"]}`);
  const isThere = job?.isThere === true;
  if (error instanceof GivenUpError && !isThere) throw new UserError(`${wordsOf(error.cause)}; ${LEFT_SAYS[error.left]}`);
  if (job === null) throw error;
  // nobody waits for it any more
  if (!(error instanceof GivenUpError)) await job.stop({ reason: "its customer has given it up" });
  const id = shortId(job.lease);
  throw new UserError(
    `${wordsOf(error instanceof GivenUpError ? error.cause : error)}; the lease is ${id}: xeno lease show ${id}, and its result, ` +
      `while it is kept: xeno lease result ${id} --out DIR`,
  );
}
