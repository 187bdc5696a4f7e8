/**
 * An appeal: who was convicted has a second referee, drawn like the first, run just what the first one ran, and brings that. Costs the
 * second referee's price. Who controls the inputs: the broker (documents of the lease), the referees (their results).
 */
import { parseDocumentOf, segmentHashOf, verifyDocumentOf, refuse, type Payload } from "@xenoservers/protocol";
import { judgeAppeal } from "@xenoservers/verify";
import type { BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { BrokenWordError, RefusedError } from "./errors.ts";
import { orderToEnd } from "./dispute-terms.ts";
import { drawNext, refereeRun, type RefereeRun } from "./dispute-run.ts";
import { signedOf } from "./signed-of-lease.ts";

/** What the appeal has come to, and who judged it. */
interface Appealed {
  run: RefereeRun;
  review: Payload<"review">;
}

/** Whether the job is what the first referee ran: all of it, or that segment. */
function ranJob(client: MarketClient, verdict: Payload<"verdict">, { jobHash, segment }: BuiltWork): boolean {
  const ruling = parseDocumentOf(client.crypto, "result", verdict.ruling);
  const hash = segment ? segmentHashOf(client.crypto, jobHash, segment.segment) : jobHash;
  return ruling.ok && ruling.document.payload.jobHash === hash;
}

/** The review has to say what the second referee's signed result comes to. Throws BrokenWordError. */
async function assertFollows(
  client: MarketClient,
  refereeLease: string,
  accused: Payload<"result">,
  verdict: Payload<"verdict">,
  review: Payload<"review">,
  under: Payload<"order">,
): Promise<void> {
  const { result: second } = await signedOf(client, refereeLease);
  const own = second && judgeAppeal(client.crypto, accused, verdict, second.payload, under);
  if (own?.ok && (own.difference === null) === review.overturned) return;
  throw new BrokenWordError("the broker's review does not follow from what the second referee has signed");
}

/** The client is the convicted owner's; `order` is that of the lease, `job` what the first referee ran. Throws RefusedError. */
export async function appealVerdict(
  client: MarketClient,
  lease: string,
  order: Payload<"order">,
  job: BuiltWork,
  budgetNanos: bigint,
): Promise<Appealed> {
  const view = await client.read("lease", { params: { id: lease } });
  if (view.state !== "convicted") throw new RefusedError(refuse("wrong_state", { lease, state: view.state }));
  const { documents } = await client.read("receipt", { params: { id: lease } });
  const stored = documents.find(({ kind }) => kind === "verdict");
  const facts = { crypto: client.crypto, market: client.pins, keyOf: () => null, at: client.brokerNow() };
  const verdict = stored && verifyDocumentOf("verdict", stored.envelope, facts);
  if (!verdict?.ok || verdict.document.payload.lease !== lease || !ranJob(client, verdict.document.payload, job))
    throw new RefusedError(refuse("not_comparable", { lease, why: "the first referee ran another job, or another segment of it" }));
  const doubted = parseDocumentOf(client.crypto, "result", verdict.document.payload.result);
  if (!doubted.ok) throw new BrokenWordError("the verdict names no result");
  const own = { ...orderToEnd(order, doubted.document.payload), account: client.identity.account };
  const run = await refereeRun(client, { lease, order: own, job, budgetNanos }, drawNext(view));
  const answer = await client.act("appeal", { lease, party: client.identity.party, refereeLease: run.refereeLease });
  const review = verifyDocumentOf("review", answer["review"], facts);
  if (!review.ok || review.document.payload.lease !== lease) throw new BrokenWordError("the broker's review is not valid");
  await assertFollows(client, run.refereeLease, doubted.document.payload, verdict.document.payload, review.document.payload, order);
  return { run, review: review.document.payload };
}
