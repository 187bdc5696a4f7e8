/** What happens on the stage: a lease from quote to verification, and a dispute where its owner cheats; all of it by the SDK's Market. */
import { realpathSync } from "node:fs";
import path from "node:path";
import { ifServerVanishes, runsAlike, trustLine } from "@xenoservers/market";
import { type Job, type Market, type PreparedRun, type RunInput, driverOf, shortId } from "@xenoservers/sdk";
import type { Line } from "@xenoservers/verify";
import { say, showRaw } from "../output/terminal.ts";
import { gigaFuel, money } from "../output/ui.ts";
import { lineText } from "../output/verification.ts";
import { ownFile } from "../own-place.ts";
import { again } from "../proof/again.ts";
import { traceHere } from "../proof/trace-here.ts";

const EXAMPLES = realpathSync(ownFile("examples"));
/** A job to go on with, by its whole path: it is typed in another terminal, which may stand anywhere. */
export const HELLO = path.join(EXAMPLES, "hello.py");
const SHORT = { program: { python: path.join(EXAMPLES, "primes.py"), args: ["20000"] }, runs: "Python 3.12 on WASI" };
/** Long enough that a referee runs a part of it only. */
const LONG = { program: { module: path.join(EXAMPLES, "mix.wasm") }, runs: "examples/mix.c as WebAssembly" };

export interface Rental {
  /** Carl's. */
  market: Market;
  /** Where it runs, on what, and for how much. */
  wanted: Omit<RunInput, "python" | "module" | "args">;
  /** A job of some seconds instead of the short one. */
  long: boolean;
  quiet: boolean;
  step(what: string): void;
}

function showLines(lines: readonly Line[]): void {
  for (const line of lines) say(`         ${lineText(line)}`);
}

/** What it would cost, and whom it takes trust in, before anything is signed. */
async function quote({ market, wanted, long, step }: Rental): Promise<PreparedRun> {
  const run = await market.prepare({ ...wanted, ...(long ? LONG : SHORT).program });
  const { ratePerHourNanos, holdNanos, fuelMax } = run.quoted.quote;
  step(`Carl wants 1 vCPU and 512M: ${money(ratePerHourNanos)}/h, ${money(holdNanos)} held for at most ${gigaFuel(fuelMax)}`);
  step(trustLine(run.wanted.assurance, runsAlike(driverOf(run.wanted), run.wanted.assurance)));
  step(`if the server vanishes he pays ${ifServerVanishes(run.wanted.terms)}`);
  return run;
}

/** Tells of the job while it runs; what the guest printed is shown as it comes, and given. */
async function follow({ long, quiet, step }: Rental, job: Job): Promise<string> {
  // that it never ran, or came to nothing, is said by its result
  const heard = (): void => {};
  job.running.then(() => step(`the guest runs: ${(long ? LONG : SHORT).runs}, in an empty root without network`), heard);
  job.delivered.then((delivered) => delivered && step("the result is here, as the server signed it; Carl has receipted it"), heard);
  let output = "";
  for await (const { text, offset } of job.output) {
    output = offset === 0 ? text : output + text;
    if (!quiet) showRaw("stderr", text.replaceAll(/^(?=.)/gm, "         | "));
  }
  return output;
}

/** The whole of one lease: quote, order, run, settle, run again, verify. */
export async function rentAndVerify(rental: Rental) {
  const { market, step } = rental;
  const run = await quote(rental);
  const job = await run.run({
    onLease: (id) => step(`leased: ${shortId(id)}; the money is held, the capacity reserved, the purchase order checked by both sides`),
  });
  const output = await follow(rental, job);
  const [{ end }, { ok, lease, bill }] = await Promise.all([job.ended, job.result]);
  if (!end) throw new Error("the lease ended without being opened");
  step(`settled: ${end.reason}, exit code ${end.exitCode}, blame ${end.blame}`);
  const parts = `${money(bill.ownerNanos)} to Olga and ${money(bill.feeNanos)} fee; ${money(bill.refundNanos)} came back to Carl`;
  step(`bill: ${money(bill.dueNanos)} for ${gigaFuel(bill.billableFuel)}, of it ${parts}`);
  step("Carl runs the same job again himself, to compare it with what Olga signed");
  const { ok: holds, lines } = await market.verify(lease, { rerun: again });
  step("verified offline, from the receipt, the pinned keys and that run alone:");
  showLines(lines);
  return { ok: ok && holds, lease, end, output, lines };
}

/** The customer has seen that the result is wrong: the referee, the verdict, the money, the evidence. */
export async function disputeAndVerify({ market, long, step }: Rental, lease: string) {
  step("Carl's own run differs from what Olga signed: he disputes; her pay is frozen");
  if (long) step("the job is long: Olga's server has to sign the states of a second run, and Carl's machine makes its own");
  const available = async (): Promise<bigint> => BigInt((await market.wallet.balances()).available);
  const before = await available();
  const { verdict, segment, refereeLease } = await market.dispute(lease, { trace: traceHere });
  if (!verdict) throw new Error("the referee came to the same result: nobody cheated");
  const cost = (await market.lease(refereeLease)).end?.dueNanos ?? "0";
  if (segment)
    step(`their states part in segment ${segment.index} of ${segment.of}: the referee ran that one alone, from a state that both signed`);
  else step("the referee ran the whole job");
  step(`verdict: ${verdict.why}`);
  const gained = (await available()) - before;
  const stake = `${money(verdict.slashedNanos)} of Olga's stake when she may not appeal any more`;
  step(`${money(verdict.refundNanos)} came back to Carl, and ${stake}; the referee's run cost him ${money(cost)}: in all ${money(gained)}`);
  const { lines } = await market.verify(lease, { rerun: again });
  step("the receipt, with the verdict in it, verified offline:");
  showLines(lines);
  const convicted = lines.some(({ check, status }) => check === "verdict" && status === "proved");
  return { convicted, lines, verdict };
}
