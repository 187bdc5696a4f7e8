/** What happens on the stage: a lease from quote to verification, and a dispute where its owner cheats. */
import { realpathSync } from "node:fs";
import path from "node:path";
import { ifServerVanishes, runsAlike, trustLine } from "@xenoservers/market";
import { parseDocumentOf, type LeaseView } from "@xenoservers/protocol";
import {
  type BoundOrder,
  type BuiltJob,
  type MarketClient,
  type Wanted,
  disputeResults,
  driverOf,
  fetchReceipt,
  finishJob,
  keepJob,
  openSession,
  parseJob,
  placeOrder,
  quoteFor,
  readKeptJob,
  shortId,
} from "@xenoservers/sdk";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { say, showRaw } from "../output/terminal.ts";
import { gigaFuel, money } from "../output/ui.ts";
import { lineText } from "../output/verification.ts";
import { ownFile } from "../own-place.ts";

const EXAMPLES = realpathSync(ownFile("examples"));
const nearby = path.relative("", EXAMPLES);
/** A job to go on with, as it is typed where one stands. */
export const HELLO = path.join(nearby.startsWith("..") ? EXAMPLES : nearby, "hello.py");
const SHORT = { file: path.join(EXAMPLES, "primes.py"), args: ["20000"], runs: "Python 3.12 on WASI" };
/** Long enough that a referee runs a part of it only. */
const LONG = { file: path.join(EXAMPLES, "mix.wasm"), args: [], runs: "examples/mix.c as WebAssembly" };

export interface Rental {
  client: MarketClient;
  wanted: Wanted;
  /** A job of some seconds instead of the short one. */
  long: boolean;
  quiet: boolean;
  step(what: string): void;
}

function showLines(lines: readonly Line[]): void {
  for (const line of lines) say(`         ${lineText(line)}`);
}

/** Who Carl is, to whoever verifies for him. */
const ownOf = ({ identity }: MarketClient) => ({ customerKey: identity.signer.publicKey, party: identity.party });

/** From quote to a purchase order that both sides have checked. */
async function order({ client, wanted, long, step }: Rental): Promise<{ job: BuiltJob; bound: BoundOrder }> {
  const { file, args } = long ? LONG : SHORT;
  const { offer, quote } = await quoteFor(client, wanted);
  step(
    `Carl wants 1 vCPU and 512M: ${money(quote.ratePerHourNanos)}/h, ${money(quote.holdNanos)} held for at most ${gigaFuel(quote.fuelMax)}`,
  );
  step(trustLine(wanted.assurance, runsAlike(driverOf(wanted), wanted.assurance)));
  step(`if the server vanishes he pays ${ifServerVanishes(wanted.terms)}`);
  const limits = { memoryMib: 512, diskMib: wanted.resources.diskMib, outputMib: 16, fuelMax: wanted.fuelMax };
  const job = finishJob(
    await parseJob({ file, check: await import("@xenoservers/engine/check"), args: [...args], dir: [], env: [], ...limits }),
    offer.engine,
  );
  await keepJob(job);
  const bound = await placeOrder(client, wanted, job.jobHash);
  step(`leased: ${shortId(bound.po.id)}; the money is held, the capacity reserved, the purchase order checked by both sides`);
  return { job, bound };
}

/** Follows the lease to its end; what the guest printed is shown as it comes. */
async function follow(
  { client, long, quiet, step }: Rental,
  bound: BoundOrder,
  job: BuiltJob,
): Promise<{ lease: LeaseView; output: string }> {
  let output = "";
  const { session, close } = openSession(client, bound, job, {
    onOutput(_stream, bytes) {
      const text = Buffer.from(bytes).toString();
      output += text;
      if (!quiet) showRaw("stderr", text.replaceAll(/^(?=.)/gm, "         | "));
    },
    onMoved: () => void (output = ""),
    onState: (state) =>
      void (state === "running" && step(`the guest runs: ${(long ? LONG : SHORT).runs}, in an empty root without network`)),
  });
  try {
    const [lease, delivered] = await Promise.all([session.settled(), session.delivered()]);
    if (delivered) step("the result is here, as the server signed it; Carl has receipted it");
    return { lease, output };
  } finally {
    close();
  }
}

/** The whole of one lease: quote, order, run, settle, run again, verify. */
export async function rentAndVerify(rental: Rental) {
  const { client, step } = rental;
  const { job, bound } = await order(rental);
  const { lease, output } = await follow(rental, bound, job);
  const { end } = lease;
  if (!end) throw new Error("the lease ended without being opened");
  step(`settled: ${end.reason}, exit code ${end.exitCode}, blame ${end.blame}`);
  const parts = `${money(end.ownerNanos)} to Olga and ${money(end.feeNanos)} fee; ${money(end.refundNanos)} came back to Carl`;
  step(`bill: ${money(end.dueNanos)} for ${gigaFuel(BigInt(end.billableFuel))}, of it ${parts}`);
  const receipt = await fetchReceipt(client, lease.id, 10_000);
  step("Carl runs the same job again himself, to compare it with what Olga signed");
  const { reExecute } = await import("../proof/re-execute.ts");
  const reExecuted = await reExecute(await readKeptJob(job.jobHash), null);
  const { ok, lines } = verifyReceipt(client.crypto, client.pins, receipt, { ...ownOf(client), reExecuted });
  step("verified offline, from the receipt, the pinned keys and that run alone:");
  showLines(lines);
  const right = ok && end.reason === "completed" && end.exitCode === 0;
  return { ok: right, lease: lease.id, end, output, lines, receipt, order: bound.order.payload, job, reExecuted };
}

export type Outcome = Awaited<ReturnType<typeof rentAndVerify>>;

/** The customer has seen that the result is wrong: the referee, the verdict, the money, the evidence. */
export async function disputeAndVerify({ client, long, step }: Rental, { lease, order: of, job, reExecuted }: Outcome) {
  step("Carl's own run differs from what Olga signed: he disputes; her pay is frozen");
  if (long) step("the job is long: Olga's server has to sign the states of a second run, and Carl's machine makes its own");
  const before = BigInt((await client.read("accounts")).balances.available);
  const { reExecute, traceHere } = await import("../proof/re-execute.ts");
  const kept = await readKeptJob(job.jobHash);
  const { verdicts, segment, refereeLease } = await disputeResults(client, [lease], of, job, BigInt(of.budgetNanos), (apart, upTo) =>
    traceHere(kept, apart, upTo),
  );
  const verdict = verdicts.get(lease);
  if (!verdict) throw new Error("the referee came to the same result: nobody cheated");
  const cost = (await client.read("lease", { params: { id: refereeLease } })).end?.dueNanos ?? "0";
  if (segment)
    step(`their states part in segment ${segment.index} of ${segment.of}: the referee ran that one alone, from a state that both signed`);
  else step("the referee ran the whole job");
  step(`verdict: ${verdict.why}`);
  const gained = BigInt((await client.read("accounts")).balances.available) - before;
  const stake = `${money(verdict.slashedNanos)} of Olga's stake when she may not appeal any more`;
  step(`${money(verdict.refundNanos)} came back to Carl, and ${stake}; the referee's run cost him ${money(cost)}: in all ${money(gained)}`);
  const receipt = await fetchReceipt(client, lease, 10_000);
  const own = segment ? await reExecute(kept, null, await stepOf(client, lease)) : reExecuted;
  const { lines } = verifyReceipt(client.crypto, client.pins, receipt, { ...ownOf(client), reExecuted: own });
  step("the receipt, with the verdict in it, verified offline:");
  showLines(lines);
  const convicted = lines.some(({ check, status }) => check === "verdict" && status === "proved");
  return { convicted, lines, receipt, verdict };
}

/** How far apart the checkpoints of the lease's trace are. */
async function stepOf(client: MarketClient, lease: string): Promise<bigint> {
  const { documents } = await client.read("receipt", { params: { id: lease } });
  const trace = parseDocumentOf(client.crypto, "trace", documents.find(({ kind }) => kind === "trace")?.envelope);
  if (!trace.ok) throw new Error("the receipt holds no trace");
  return BigInt(trace.document.payload.step);
}
