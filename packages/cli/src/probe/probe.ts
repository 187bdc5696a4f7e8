/**
 * One probe: an ordinary order by a party that was made for it, its result compared with a run on this machine, and a dispute where they
 * differ. Who controls the inputs: the probed owner (its result).
 */
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { wasRun } from "@xenoservers/market";
import { parseDocumentOf, type OfferView } from "@xenoservers/protocol";
import {
  MarketClient,
  RefusedError,
  type Work,
  disputeResults,
  readDocuments,
  identityOf,
  keepJob,
  openSession,
  placeOrder,
  quoteFor,
  readKeptJob,
} from "@xenoservers/sdk";
import { resultProblem, stoppedAt } from "@xenoservers/verify";
import { readTyped } from "../input/verb.ts";
import { quoteInput } from "../input/verbs/run.ts";
import { workOf } from "../input/work.ts";
import { planProbe, type ProbePlan } from "./plan.ts";
import type { Chance } from "./programs.ts";
import { scratch } from "../local/scratch.ts";

const PLANS_MAX = 40;
const RECEIPT_WITHIN_MS = 30_000;

export interface Probed {
  server: string;
  lease: string | null;
  says: "right" | "wrong" | "not judged" | "no ordinary order leads to it now";
  why: string;
}

/** A party as any other: a key of its own, and credit. */
async function partyFor(operator: MarketClient, { party: name, creditNanos }: ProbePlan): Promise<MarketClient> {
  const identity = identityOf(randomBytes(32));
  const { party, signer } = identity;
  const client = new MarketClient(operator.url, operator.pins, identity);
  await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
  const credit = { party, amountNanos: creditNanos.toString(), source: "operator", reference: "", clientId: operator.newId() } as const;
  await operator.act("credit", credit);
  return client;
}

/** The work of a plan whose order the broker would place on this server. */
async function leadingTo(operator: MarketClient, target: OfferView, chance: Chance, folder: string): Promise<[ProbePlan, Work] | null> {
  for (let tries = 0; tries < PLANS_MAX; tries++) {
    const plan = planProbe(target, chance);
    const file = path.join(folder, plan.program.name);
    await writeFile(file, plan.program.text);
    const work = await workOf(readTyped(quoteInput, [...plan.options, file, ...plan.args]));
    const found = await quoteFor(operator, work.wanted).catch((error: unknown) => {
      if (error instanceof RefusedError) return null;
      throw error;
    });
    if (found?.offer.server === target.server) return [plan, work];
  }
  return null;
}

/** What the server signed beside what the job comes to here; null where that cannot be compared. */
async function differenceHere(client: MarketClient, lease: string, jobHash: string): Promise<{ difference: string | null } | null> {
  const { reExecute } = await import("../proof/re-execute.ts");
  const { documents } = await readDocuments(client, lease, RECEIPT_WITHIN_MS);
  const result = parseDocumentOf(client.crypto, "result", documents.find(({ kind }) => kind === "result")?.envelope);
  if (!result.ok || !wasRun(result.document.payload)) return null;
  const { payload } = result.document;
  return { difference: resultProblem(payload, await reExecute(await readKeptJob(jobHash), stoppedAt(payload))) };
}

export async function probeServer(operator: MarketClient, target: OfferView, chance: Chance): Promise<Probed> {
  const { folder, remove } = await scratch("probe");
  try {
    const found = await leadingTo(operator, target, chance, folder);
    const none = {
      server: target.server,
      lease: null,
      says: "no ordinary order leads to it now",
      why: "others are cheaper for all it drew",
    } as const;
    if (!found) return none;
    const [plan, work] = found;
    const client = await partyFor(operator, plan);
    const job = work.build(target);
    const bound = await placeOrder(client, work.wanted, job.jobHash);
    await keepJob(job);
    const { session, close } = openSession(client, bound, job, {});
    const ended = await Promise.race([Promise.all([session.settled(), session.delivered()]), session.failed]).finally(close);
    if (ended instanceof Error) throw ended;
    const { server } = bound.po.payload;
    const lease = bound.po.id;
    const compared = await differenceHere(client, lease, job.jobHash);
    if (!compared) return { server, lease, says: "not judged", why: `it ended ${ended[0].end?.reason ?? ended[0].state}` };
    if (compared.difference === null) return { server, lease, says: "right", why: "it is what this machine came to" };
    await disputeResults(client, [lease], bound.order.payload, job, work.wanted.budgetNanos);
    return { server, lease, says: "wrong", why: compared.difference };
  } finally {
    await remove();
  }
}
