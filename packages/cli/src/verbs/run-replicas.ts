/**
 * `xeno run --replicas K`: one order for the same job on servers of K different owners, drawn by the broker, who commit to their results before any
 * shows one. Nothing is shown before their signed results agree; where they differ the market's referee decides, and the output is that of a replica
 * that it bears out.
 */
import { parseDocumentOf, type Payload } from "@xenoservers/protocol";
import {
  LeaseSession,
  RefusedError,
  checkBound,
  disputeResults,
  fetchReceipt,
  openLink,
  quoteFor,
  signOrder,
  type BoundOrder,
  type BuiltJob,
  type BuiltVm,
  type MarketClient,
  type Quoted,
  type Wanted,
} from "@xenoservers/sdk";
import { isComparable, resultDifference } from "@xenoservers/verify";
import { z } from "zod";
import { exitCodeOf, fetchInto, keepReceipt } from "../output/deliver.ts";
import type { SharedFolder } from "../input/job-from-args.ts";
import { keepJob } from "../input/kept-job.ts";
import { EXIT, UserError, dim, money, printJson, red, say, shortId } from "../output/ui.ts";
import { endLine } from "./lease.ts";

const RECEIPT_WITHIN_MS = 10_000;
/** In a quote; the broker draws among all that fit. */
const OWNERS_SHOWN_MAX = 16;

interface Replica {
  bound: BoundOrder;
  session: LeaseSession;
  output: { stdout: Uint8Array[]; stderr: Uint8Array[] };
}

/** The cheapest offer of each owner that fits, cheapest first; the broker draws among them. Throws RefusedError `no_match`. */
export async function quoteReplicas(client: MarketClient, wanted: Wanted, count: number): Promise<Quoted[]> {
  const quotes: Quoted[] = [await quoteFor(client, wanted)];
  for (let owners = [quotes[0]!.offer.owner]; count > 1 && quotes.length < OWNERS_SHOWN_MAX; owners = quotes.map(({ offer }) => offer.owner)) {
    const conditions = [...wanted.conditions, ...owners.map((owner) => ({ key: "owner", op: "!=" as const, value: owner }))];
    const next = await quoteFor(client, { ...wanted, conditions }).catch((error: unknown) => {
      if (error instanceof RefusedError && error.refusal.code === "no_match" && quotes.length >= count) return null;
      throw error;
    });
    if (!next) break;
    quotes.push(next);
  }
  return quotes;
}

/** One order for all of them; each purchase order is checked like any other. */
async function place(client: MarketClient, job: BuiltJob | BuiltVm, wanted: Wanted): Promise<BoundOrder[]> {
  const order = signOrder(client, wanted, job.jobHash);
  const answer = await client.submit(order.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  const replicas = z.array(z.object({ purchaseOrder: z.unknown() })).parse(answer.answer["replicas"]);
  const bound = replicas.map(({ purchaseOrder }) => checkBound(client, order.id, purchaseOrder));
  if (new Set(bound.map(({ po }) => po.payload.owner)).size !== wanted.replicas)
    throw new UserError("the broker did not draw as many different owners as were ordered");
  return bound;
}

async function manifestOf(client: MarketClient, lease: string): Promise<Payload<"result"> | null> {
  const { documents } = await fetchReceipt(client, lease, RECEIPT_WITHIN_MS);
  const stored = documents.find(({ kind }) => kind === "result");
  const parsed = stored && parseDocumentOf(client.crypto, "result", stored.envelope);
  return parsed?.ok && isComparable(parsed.document.payload) ? parsed.document.payload : null;
}

export interface ReplicaOptions {
  out?: string;
  json: boolean;
  quiet: boolean;
  currency: string;
}

export async function runReplicas(
  client: MarketClient,
  job: BuiltJob | BuiltVm,
  parsed: { shared: readonly SharedFolder[] },
  wanted: Wanted,
  { out, json, quiet, currency }: ReplicaOptions,
): Promise<void> {
  const replicas: Replica[] = [];
  const link = openLink(client, {
    onUp: () => replicas.forEach(({ session }) => session.hint()),
    onEvent: (event) => replicas.forEach(({ session }) => session.hint(event)),
  });
  await keepJob(job);
  try {
    for (const bound of await place(client, job, wanted)) {
      const output: Replica["output"] = { stdout: [], stderr: [] };
      const session = new LeaseSession(client, bound, job, { onOutput: (stream, bytes) => void output[stream].push(bytes) }, link);
      replicas.push({ bound, session, output });
      if (!quiet) say(dim(`replica  ${shortId(bound.po.id)} on ${shortId(bound.po.payload.server)}`));
    }
    const ended = await Promise.all(replicas.map(({ session }) => session.settled()));
    const manifests = await Promise.all(ended.map(({ id }) => manifestOf(client, id)));
    for (const { id } of ended) await keepReceipt(client, id, 0);
    if (!quiet) for (const lease of ended) say(endLine(lease, currency));
    const standing = await rightOnes(client, job, replicas, manifests, { quiet, currency, budgetNanos: wanted.budgetNanos });
    const right = await firstDelivered(replicas, standing);
    const { session, output } = replicas[right]!;
    await fetchInto(session, out, parsed.shared);
    process.exitCode = exitCodeOf(ended[right]!);
    if (json)
      return printJson({
        leases: ended.map(({ id }) => id),
        lease: ended[right]!.id,
        end: ended[right]!.end,
        stdout: Buffer.concat(output.stdout).toString(),
        stderr: Buffer.concat(output.stderr).toString(),
      });
    for (const bytes of output.stderr) process.stderr.write(bytes);
    for (const bytes of output.stdout) process.stdout.write(bytes);
  } finally {
    for (const { session } of replicas) session.close();
    link.stop();
  }
}

/** A server may sign the right digests and send other bytes: its session then has nothing delivered. */
async function firstDelivered(replicas: readonly Replica[], standing: readonly number[]): Promise<number> {
  for (const i of standing) if ((await replicas[i]!.session.delivered()) !== null) return i;
  throw new UserError(
    "no server delivered the output that it signed: nothing is shown; object with `xeno lease object`, or have it judged with `xeno dispute`",
  );
}

/** The indexes of the replicas whose results stand. */
async function rightOnes(
  client: MarketClient,
  job: BuiltJob | BuiltVm,
  replicas: readonly Replica[],
  manifests: readonly (Payload<"result"> | null)[],
  { quiet, currency, budgetNanos }: { quiet: boolean; currency: string; budgetNanos: bigint },
): Promise<number[]> {
  const compared = manifests.flatMap((manifest, i) => (manifest ? [{ manifest, i }] : []));
  if (compared.length < 2) {
    process.exitCode = EXIT.xeno;
    throw new UserError(`only ${compared.length} of ${manifests.length} replicas came to a result: nothing to compare; run it again`);
  }
  const [first, ...others] = compared;
  const difference = others.map(({ manifest }) => resultDifference(first!.manifest, manifest)).find((each) => each !== null);
  if (difference === undefined) {
    if (!quiet) say(`agreed   ${compared.length} owners signed the same output, ${first!.manifest.fuel} fuel and memory`);
    return compared.map(({ i }) => i);
  }
  say(red(`the replicas differ (${difference}): the market's referee runs the job`));
  const leases = compared.map(({ i }) => replicas[i]!.bound.po.id);
  const { verdicts, segment } = await disputeResults(client, leases, replicas[0]!.bound.order.payload, job, budgetNanos);
  if (segment) say(`the referee ran segment ${segment.index} of ${segment.of}`);
  for (const [lease, verdict] of verdicts)
    if (verdict)
      say(
        `verdict  ${shortId(lease)}: ${verdict.why}; ${money(verdict.refundNanos, currency)} and ${money(verdict.slashedNanos, currency)} of stake came to you`,
      );
  const standing = compared.flatMap(({ i }) => (verdicts.get(replicas[i]!.bound.po.id) === null ? [i] : []));
  if (standing.length === 0) throw new UserError("the referee bears out none of the replicas: no output is shown; their pay came back to you");
  return standing;
}
