/**
 * A job that was sent from this machine, run again by an engine that the program hands in: this library carries none. Who controls the
 * inputs: whoever handed over the receipt; this machine's disk, whose job is checked to be the one that was ordered.
 */
import type { MarketPins } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { jobToRun, type OwnRun } from "@xenoservers/verify";
import { InputError } from "../errors.ts";
import type { Trace } from "../segment.ts";
import { ReceiptFile } from "./receipts/receipt-file.ts";
import { readKeptJob, readKeptVm, type Kept, type KeptJob, type KeptWork } from "./kept-job.ts";

/** How far, and with what on the way. */
interface RerunTo {
  /** The fuel at which the server's run was stopped from outside; null: it came to an end of its own. */
  stoppedAt: bigint | null;
  /** With breakpoints so far apart, for verdicts over a segment. */
  step: bigint | null;
}

/** Runs a kept module or machine to where its server ended, and says what that comes to. */
export type Rerun = (work: KeptWork, to: RerunTo) => Promise<OwnRun>;

/** The states of a kept module's run, with breakpoints so far apart, up to so much fuel; null: to its own end. */
export type JobTracer = (job: Kept<KeptJob>, step: bigint, upTo: bigint | null) => Promise<Trace>;

/**
 * What the receipt's job comes to here. Null where the receipt does not hold: what is wrong with it is then said by its lines. Throws
 * InputError where nothing of it can be run, KeptError where this machine kept no such job, or another in its place.
 */
export async function rerun(pins: MarketPins, receipt: unknown, again: Rerun): Promise<OwnRun | null> {
  const asked = receipt instanceof ReceiptFile ? (await receipt.read(nodeCrypto, pins, {})).job() : jobToRun(nodeCrypto, pins, receipt);
  if (!asked.ok && !asked.isBroken) throw new InputError(asked.why);
  if (!asked.ok) return null;
  const { jobHash, stoppedAt, step } = asked;
  return again((await readKeptVm(jobHash)) ?? (await readKeptJob(jobHash)), { stoppedAt, step });
}
