/** What happens on the stage: a lease from quote to verification, and a dispute where its owner cheats. */
import path from "node:path";
import { ifServerVanishes, trustLine } from "@xenoservers/market";
import {
  LeaseSession,
  RefusedError,
  checkBound,
  disputeResults,
  fetchReceipt,
  openLink,
  quoteFor,
  signOrder,
  type MarketClient,
  type Wanted,
} from "@xenoservers/sdk";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { finishJob, parseJob } from "../job-from-args.ts";
import { keepJob, readKeptJob } from "../kept-job.ts";
import { gigaFuel, green, money, red, say, shortId, yellow } from "../ui.ts";

const EXAMPLE = path.resolve(import.meta.dirname, "../../../../examples/primes.py");

export interface Rental {
  client: MarketClient;
  wanted: Wanted;
  quiet: boolean;
  step(what: string): void;
}

const LINE_MARKS = { proved: green("proved "), claimed: yellow("claimed"), failed: red("FAILED ") };

function showLines(lines: readonly Line[]): void {
  for (const { status, check, says } of lines) say(`         ${LINE_MARKS[status]} ${check.padEnd(14)} ${says}`);
}

/** The whole of one lease: quote, order, run, settle, run again, verify. */
export async function rentAndVerify({ client, wanted, quiet, step }: Rental) {
  const { offer, quote } = await quoteFor(client, wanted);
  step(`Carl wants 1 vCPU and 512M: ${money(quote.ratePerHourNanos)}/h, ${money(quote.holdNanos)} held for at most ${gigaFuel(quote.fuelMax)}`);
  step(`${trustLine(wanted.assurance)}`);
  step(`if the server vanishes he pays ${ifServerVanishes(wanted.terms)}`);
  const job = finishJob(
    await parseJob({
      file: EXAMPLE,
      args: ["20000"],
      dir: [],
      env: [],
      memoryMib: 512,
      diskMib: wanted.resources.diskMib,
      outputMib: 16,
      fuelMax: wanted.fuelMax,
    }),
    offer.engine,
  );
  await keepJob(job);
  const order = signOrder(client, wanted, job.jobHash);
  const answer = await client.submit(order.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  const bound = checkBound(client, order.id, answer.answer["purchaseOrder"]);
  step(`leased: ${shortId(bound.po.id)}; the money is held, the capacity reserved, the purchase order checked by both sides`);
  let session: LeaseSession | null = null;
  let output = "";
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(
    client,
    bound,
    job,
    {
      onOutput(_stream, bytes) {
        output += Buffer.from(bytes).toString();
        if (!quiet)
          process.stderr.write(
            Buffer.from(bytes)
              .toString()
              .replaceAll(/^(?=.)/gm, "         | "),
          );
      },
      onState: (state) => void (state === "running" && step("the guest runs: Python 3.12 on WASI, in an empty root without network")),
    },
    link,
  );
  const [lease] = await Promise.all([session.settled(), session.delivered()]);
  session.close();
  link.stop();
  const end = lease.end;
  if (!end) throw new Error("the lease ended without being opened");
  step(`settled: ${end.reason}, exit code ${end.exitCode}, blame ${end.blame}`);
  step(
    `bill: ${money(end.dueNanos)} for ${gigaFuel(BigInt(end.billableFuel))}, of it ${money(end.ownerNanos)} to Olga and ${money(end.feeNanos)} fee; ${money(end.refundNanos)} came back to Carl`,
  );
  const receipt = await fetchReceipt(client, lease.id, 10_000);
  step("Carl runs the same job again himself, to compare it with what Olga signed");
  const { reExecute } = await import("../re-execute.ts");
  const reExecuted = await reExecute(await readKeptJob(job.jobHash), null);
  const { ok, lines } = verifyReceipt(client.crypto, client.pins, receipt, { customerKey: client.identity.signer.publicKey, reExecuted });
  step("verified offline, from the receipt, the pinned keys and that run alone:");
  showLines(lines);
  return {
    ok: ok && end.reason === "completed" && end.exitCode === 0,
    lease: lease.id,
    end,
    output,
    lines,
    receipt,
    order: bound.order.payload,
    job,
    reExecuted,
  };
}

export type Outcome = Awaited<ReturnType<typeof rentAndVerify>>;

/** The customer has seen that the result is wrong: the referee, the verdict, the money, the evidence. */
export async function disputeAndVerify({ client, step }: Rental, { lease, order, job, reExecuted }: Outcome) {
  step("Carl's own run differs from what Olga signed: he disputes; her pay is frozen, and the market's referee runs the job");
  const before = BigInt((await client.read("accounts")).balances.available);
  const { verdicts, refereeLease } = await disputeResults(client, [lease], order, job, BigInt(order.budgetNanos));
  const verdict = verdicts.get(lease);
  if (!verdict) throw new Error("the referee came to the same result: nobody cheated");
  const cost = (await client.read("lease", { params: { id: refereeLease } })).end!.dueNanos;
  step(`verdict: ${verdict.why}`);
  const gained = BigInt((await client.read("accounts")).balances.available) - before;
  step(
    `${money(verdict.refundNanos)} came back to Carl, and ${money(verdict.slashedNanos)} of Olga's stake; the referee's run cost him ${money(cost)}: in all ${money(gained)}`,
  );
  const receipt = await fetchReceipt(client, lease, 10_000);
  const { lines } = verifyReceipt(client.crypto, client.pins, receipt, { customerKey: client.identity.signer.publicKey, reExecuted });
  step("the receipt, with the verdict in it, verified offline:");
  showLines(lines);
  const convicted = lines.some(({ check, status }) => check === "verdict" && status === "proved");
  return { convicted, lines, receipt, verdict };
}
