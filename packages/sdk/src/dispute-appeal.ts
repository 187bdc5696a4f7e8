/**
 * An appeal: who was convicted has a second referee, drawn like the first, run just what the first one ran, and brings that. Costs the
 * second referee's price. Who controls the inputs: the broker (documents of the lease), the referees (their results).
 */
import { limitToRun } from "@xenoservers/market";
import {
  parseDocumentOf,
  segmentHashOf,
  verifyDocumentOf,
  refuse,
  type LeaseView,
  type Payload,
  type Segment,
} from "@xenoservers/protocol";
import { judgeAppeal } from "@xenoservers/verify";
import type { BuiltWork } from "./built.ts";
import type { MarketClient } from "./client.ts";
import { BrokenWordError, RefusedError } from "./errors.ts";
import { orderToEnd } from "./dispute-terms.ts";
import { drawNext, refereeRun, type RefereeRun } from "./dispute-run.ts";
import { readDocuments } from "./receipt.ts";
import { signedOf } from "./signed-of-lease.ts";
import { shortId } from "./words.ts";

/** A lease of one's own that a referee has proved wrong. */
export interface Conviction {
  view: LeaseView;
  order: Payload<"order">;
  verdict: Payload<"verdict">;
  /** What the lease's server signed, and the verdict calls wrong. */
  accused: Payload<"result">;
  /** The one part that the first referee ran; null: it ran the whole job. */
  part: Omit<Segment, "from"> | null;
}

/** What the appeal has come to, and who judged it. */
interface Appealed {
  run: RefereeRun;
  review: Payload<"review">;
}

const factsOf = (client: MarketClient) => ({ crypto: client.crypto, market: client.pins, keyOf: () => null, at: client.brokerNow() });

/** Of a verdict over one part: the part, as the first referee got it. */
function partOf(
  client: MarketClient,
  { segment, trace }: Payload<"verdict">,
  order: Payload<"order">,
  accused: Payload<"result">,
): Conviction["part"] {
  if (segment === null) return null;
  const read = parseDocumentOf(client.crypto, "trace", trace);
  if (!read.ok) throw new BrokenWordError("the verdict names a part of the job, and no states that it lies between");
  return { step: read.document.payload.step, index: segment, upTo: limitToRun(order, accused) };
}

/** By the first letters of the lease's id. Throws RefusedError where it is not convicted. */
export async function convictionOf(client: MarketClient, id: string): Promise<Conviction> {
  const view = await client.read("lease", { params: { id } });
  if (view.state !== "convicted")
    throw new RefusedError(
      refuse("wrong_state", { lease: view.id, state: view.state, why: `it is ${view.state}: there is no verdict to appeal against` }),
    );
  const { documents } = await readDocuments(client, view.id);
  const shown = (kind: "order" | "verdict"): unknown => documents.find((document) => document.kind === kind)?.envelope;
  const verdict = verifyDocumentOf("verdict", shown("verdict"), factsOf(client));
  if (!verdict.ok || verdict.document.payload.lease !== view.id)
    throw new BrokenWordError(`the broker shows no verdict of lease ${shortId(view.id)}`);
  const order = parseDocumentOf(client.crypto, "order", shown("order"));
  if (!order.ok) throw new BrokenWordError(`the broker shows no order of lease ${shortId(view.id)}`);
  const accused = parseDocumentOf(client.crypto, "result", verdict.document.payload.result);
  if (!accused.ok) throw new BrokenWordError("the verdict names no result");
  const said = { verdict: verdict.document.payload, order: order.document.payload, accused: accused.document.payload };
  return { view, ...said, part: partOf(client, said.verdict, said.order, said.accused) };
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
  { accused, verdict, order }: Conviction,
  review: Payload<"review">,
): Promise<void> {
  const { result: second } = await signedOf(client, refereeLease);
  const own = second && judgeAppeal(client.crypto, accused, verdict, second.payload, order);
  if (own?.ok && (own.difference === null) === review.overturned) return;
  throw new BrokenWordError("the broker's review does not follow from what the second referee has signed");
}

/** `client`: the owner's. `job`: what the first referee ran. Throws RefusedError, and GivenUpError where it is called off. */
export async function appealVerdict(
  client: MarketClient,
  convicted: Conviction,
  job: BuiltWork,
  budgetNanos: bigint,
  signal?: AbortSignal,
): Promise<Appealed> {
  const { view, order, verdict, accused } = convicted;
  const lease = view.id;
  if (!ranJob(client, verdict, job))
    throw new RefusedError(refuse("not_comparable", { lease, why: "the first referee ran another job, or another segment of it" }));
  const own = { ...orderToEnd(order, accused), account: client.identity.account };
  const wanted = { lease, order: own, job, budgetNanos, ...(signal ? { signal } : {}) };
  const run = await refereeRun(client, wanted, drawNext(view));
  const answer = await client.act("appeal", { lease, party: client.identity.party, refereeLease: run.refereeLease });
  const review = verifyDocumentOf("review", answer["review"], factsOf(client));
  if (!review.ok || review.document.payload.lease !== lease) throw new BrokenWordError("the broker's review is not valid");
  await assertFollows(client, run.refereeLease, convicted, review.document.payload);
  return { run, review: review.document.payload };
}
