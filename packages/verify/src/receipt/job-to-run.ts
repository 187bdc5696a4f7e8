/**
 * Which job a receipt is of, for whoever runs it again: by the order that its customer signed and the result that the fold took, never
 * by whatever stands in the file. Who controls the input: whoever hands over the file, every byte.
 */
import { wasRun } from "@xenoservers/market";
import { zReceipt, type Crypto, type MarketPins } from "@xenoservers/protocol";
import { stoppedAt } from "../judging/re-execution.ts";
import { inLogOrder, openDocuments } from "./opened.ts";
import { tell, type Told } from "./told.ts";

/** `stoppedAt`: the fuel at which its run was stopped from outside; null: it ended by itself. `step`: of the trace in its verdict. */
export type JobToRun =
  | { ok: true; lease: string; jobHash: string; stoppedAt: bigint | null; step: bigint | null }
  | { ok: false; why: string; isBroken: boolean };

const none = (why: string, isBroken: boolean): JobToRun => ({ ok: false, why, isBroken });

export const NO_JOB = none("it holds no job that could be run", true);

export function jobToRun(crypto: Crypto, pins: MarketPins, untrusted: unknown): JobToRun {
  const receipt = zReceipt.safeParse(untrusted).data;
  const opened = receipt && openDocuments(crypto, receipt);
  if (!receipt || !opened?.ok) return NO_JOB;
  return jobIn(tell(crypto, pins, inLogOrder(opened.entries)), receipt.lease);
}

/** `of`: the lease that the receipt is called by. */
export function jobIn(told: Told, of: string): JobToRun {
  const { lease, broken } = told;
  const result = told.documentOf("result")?.payload;
  if (!lease || lease.id !== of) return none("it does not hold its own purchase order", true);
  if (!result) return none(broken === null ? "it holds no result to compare with" : broken.why, broken !== null);
  if (!wasRun(result)) return none(`the job did not run (${result.reason}): there is nothing to compare`, false);
  const isOfSegment = (told.documentOf("verdict")?.payload.segment ?? null) !== null;
  const asked = isOfSegment ? (lease.trace?.step ?? null) : null;
  const step = asked === null ? null : BigInt(asked);
  return { ok: true, lease: lease.id, jobHash: lease.jobHash, stoppedAt: stoppedAt(result), step };
}
