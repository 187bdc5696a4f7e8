/**
 * `xeno lease appeal`: a referee has proved a lease of yours wrong; a second one that is drawn runs what the first one ran. The job comes
 * from your xenoserver's folder, which keeps it until the appeal is over; of a segment the state it begins from is made here.
 */
import { limitToRun } from "@xenoservers/market";
import { parseDocumentOf, type Kind, type Payload, type ReceiptDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { type BuiltWork, type KeptWork, appealVerdict, hasBreakpoints, rebuilt, segmentJob, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { AppealInput } from "../input/verbs/lease.ts";
import { serverFolder } from "../local/server-folder.ts";
import { agree } from "../output/ask.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, money } from "../output/ui.ts";

function payloadIn<K extends Kind>(documents: readonly ReceiptDocument[], kind: K): Payload<K> {
  const stored = documents.find((document) => document.kind === kind);
  const parsed = stored && parseDocumentOf(nodeCrypto, kind, stored.envelope);
  if (!parsed?.ok) throw new UserError(`the lease has no ${kind}`);
  return parsed.document.payload;
}

async function keptOf(folder: string, lease: string): Promise<KeptWork> {
  const { readKeptWork } = await import("@xenoservers/xenoserver");
  const kept = await readKeptWork(folder, lease);
  if (!kept) throw new UserError(`the xenoserver in ${folder} keeps nothing of lease ${shortId(lease)}; name its folder with --data`);
  return kept;
}

/** What the first referee ran: all of the job, or the segment that the verdict names, from a state that is made here. */
async function ranBy(
  kept: KeptWork,
  order: Payload<"order">,
  { segment, trace, result }: Payload<"verdict">,
): Promise<{ job: BuiltWork; close(): Promise<void> }> {
  const job = await rebuilt(kept, order.jobHash);
  if (segment === null) return { job, close: async () => {} };
  const read = parseDocumentOf(nodeCrypto, "trace", trace);
  const doubted = parseDocumentOf(nodeCrypto, "result", result);
  if (!read.ok || !doubted.ok || !("module" in kept.spec) || !hasBreakpoints(job))
    throw new UserError("the verdict names a segment of no job");
  const { traceHere } = await import("../proof/re-execute.ts");
  const { step } = read.document.payload;
  const upTo = limitToRun(order, doubted.document.payload);
  say("the first referee ran one segment: the job is run here for the state that it begins from");
  const here = await traceHere(
    { spec: kept.spec, inputs: kept.inputs, blobFile: kept.blobFile },
    BigInt(step),
    upTo === null ? null : BigInt(upTo),
  );
  return { job: await segmentJob(job, here.roots, { step, index: segment, upTo }, [here]), close: async () => here.close() };
}

export async function leaseAppeal({ lease: id, budget, data, yes, json }: AppealInput): Promise<void> {
  const { client, context } = await openClient("dispute", "spend", "read");
  const lease = await client.read("lease", { params: { id } });
  if (lease.state !== "convicted")
    throw new UserError(`lease ${shortId(lease.id)} is ${lease.state}: there is no verdict to appeal against`);
  const { documents } = await client.read("receipt", { params: { id: lease.id } });
  const order = payloadIn(documents, "order");
  const { job, close } = await ranBy(await keptOf(serverFolder(data), lease.id), order, payloadIn(documents, "verdict"));
  try {
    if (!json)
      say(`appeal   you pay the second referee's run, at most ${money(budget, context.currency)}; if it bears you out, the stake is yours`);
    await agree("Have a second referee drawn?", yes || json);
    const { run, review } = await appealVerdict(client, lease.id, order, job, budget);
    if (!review.overturned) process.exitCode = 1;
    if (json) return printJson({ lease: lease.id, ...run, overturned: review.overturned, why: review.why });
    for (const { referee, why } of run.passed) say(`referee  ${shortId(referee)} was drawn before: ${why}`);
    say(`referee  ${shortId(run.referee)} was drawn in round ${run.round} and ran it`);
    print(review.overturned ? "overturned: your stake is yours again, and your record is corrected" : `the verdict stands: ${review.why}`);
  } finally {
    await close();
  }
}
