/**
 * Disputes over results: a customer who doubts a result has the same job run by the referee that was drawn, an ordinary xenoserver that the
 * operator named, and brings that lease; of a long job, the one part in which the server's signed states go wrong. Who is convicted may
 * bring what a second referee came to. The signed manifests decide; the broker runs nothing. Who controls the inputs: the parties (which
 * leases), all servers (their manifests), the operator (who is a referee).
 */
import { speaksAs, type Finding } from "@xenoservers/market";
import { isSameSigned, parseDocumentOf, refuse, type Refusal, type SignedDocument, type Verified } from "@xenoservers/protocol";
import { judge, judgeAppeal, judgeReferees } from "@xenoservers/verify";
import type { LeaseRow, Versioned } from "../store/store.ts";
import { LeaseChange, findLease } from "./folding.ts";
import { finalEvents } from "./leases.ts";
import { alongside, envelopeJson, type Outcome } from "./outcome.ts";
import { refereeProblem } from "./referees.ts";
import type { Round } from "./round.ts";

async function stored<K extends "result" | "trace" | "verdict">(
  round: Round,
  kind: K,
  id: string | null | undefined,
): Promise<SignedDocument<K> | null> {
  const document = id ? await round.services.store.document(id) : null;
  const parsed = document && parseDocumentOf(round.services.crypto, kind, document.envelope);
  return parsed?.ok ? parsed.document : null;
}

/** Why the run that is brought is not the one that may decide; null where it is. */
function runProblem({ id, draw, judgedBy }: LeaseRow, run: LeaseRow): Refusal | null {
  if (run.judges !== id)
    return refuse("not_comparable", { lease: id, refereeLease: run.id, why: "it was not ordered to judge this lease" });
  if (draw && run.server === draw.referee && run.id === judgedBy.latest) return null;
  return refuse("not_drawn", { lease: id, refereeLease: run.id, referee: draw?.referee ?? null, round: draw?.round ?? null });
}

/** Nor is a result of a referee heard that the operator has dismissed, or that will not do for another reason. */
async function judgeProblem(round: Round, lease: LeaseRow, run: LeaseRow): Promise<Refusal | null> {
  const wrong = runProblem(lease, run);
  if (wrong) return wrong;
  const why = await refereeProblem(round, lease);
  return why === null ? null : refuse("not_drawn", { lease: lease.id, refereeLease: run.id, why });
}

interface Proof {
  result: SignedDocument<"result">;
  ruling: SignedDocument<"result">;
  trace: SignedDocument<"trace"> | null;
  difference: string | null;
}

/** Both signed results, compared; a refusal where they cannot decide. */
async function proofOf(round: Round, lease: LeaseRow, judged: LeaseRow, segment: number | null): Promise<({ ok: true } & Proof) | Refusal> {
  const [result, ruling, trace] = await Promise.all([
    stored(round, "result", lease.result?.id),
    stored(round, "result", judged.result?.id),
    segment === null ? null : stored(round, "trace", lease.trace?.document),
  ]);
  if (!result) return refuse("not_comparable", { lease: lease.id, why: "it ended without a result" });
  if (!ruling) return refuse("not_comparable", { refereeLease: judged.id, why: "the referee's lease has no result" });
  const part = segment === null ? null : { trace: trace?.payload ?? null, segment };
  const judgement = judge(round.services.crypto, result.payload, ruling.payload, lease, part);
  if (!judgement.ok) return refuse("not_comparable", { refereeLease: judged.id, why: judgement.why });
  return { ok: true, result, ruling, trace, difference: judgement.difference };
}

/** A party's lease and the referee's run that it brings for it, which may decide over it. */
async function brought(
  round: Round,
  document: Verified<"dispute"> | Verified<"appeal">,
  role: "customer" | "owner",
): Promise<{ ok: true; lease: Versioned<LeaseRow>; run: Versioned<LeaseRow> } | Refusal> {
  const { lease: id, refereeLease, party } = document.payload;
  const [found, run] = await Promise.all([
    findLease(round, id, (lease) => lease[role] === party),
    findLease(round, refereeLease, (lease) => lease.customer === party),
  ]);
  if (!found.ok) return found;
  if (!run.ok) return run;
  if (!speaksAs(found.lease.data, document.signer, role)) return refuse("not_yours", { lease: id });
  const problem = await judgeProblem(round, found.lease.data, run.lease.data);
  return problem ?? { ok: true, lease: found.lease, run: run.lease };
}

export async function openDispute(round: Round, document: Verified<"dispute">): Promise<Outcome> {
  const { segment, ruling } = document.payload;
  const found = await brought(round, document, "customer");
  if (!found.ok) return found;
  const proof = await proofOf(round, found.lease.data, found.run.data, segment);
  if (!proof.ok) return proof;
  // whoever reads the dispute judges by the ruling in it
  if (ruling !== null && !isSameSigned(round.services.crypto, ruling, proof.ruling))
    return refuse("result_mismatch", { refereeLease: found.run.data.id, why: "the ruling is not what the referee signed for this lease" });
  const finding: Finding = proof.difference === null ? "agrees" : "differs";
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document, { finding });
  if (refusal) return refusal;
  if (proof.difference === null) return change.planned({ id: document.id, events: finalEvents(change.lease, {}) });
  const verdict = convict(change, found.run.data, segment, { ...proof, difference: proof.difference });
  change.judgedBy({ convicting: found.run.data.id });
  return change.planned({
    id: document.id,
    answer: { verdict: envelopeJson(verdict.envelope), appealBy: change.row.deadlineAt },
    events: finalEvents(change.lease, { verdict: verdict.id, why: proof.difference }),
  });
}

/** What a verdict says of the lease's money: the pay goes back, and what was locked goes to `slashedTo`. */
function verdictMoney({ end, stakeNanos }: LeaseRow, slashedTo: string) {
  const refundNanos = (BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0)).toString();
  return { refundNanos, slashedNanos: stakeNanos, slashedTo };
}

/** The pay goes back, the stake that was locked for the lease waits for an appeal, and the owner's record says so. */
function convict(
  change: LeaseChange,
  run: LeaseRow,
  segment: number | null,
  { result, ruling, trace, difference }: Proof & { difference: string },
) {
  const { id: lease, server, owner, customer, draw } = change.lease;
  const about = { lease, server, owner, referee: run.server, round: draw?.round ?? null };
  const proof = { result: result.envelope, ruling: ruling.envelope, trace: trace?.envelope ?? null, segment, why: difference };
  const money = verdictMoney(change.lease, customer);
  return change.issue("verdict", { ...about, ...proof, ...money, at: change.at }, { finding: "differs" });
}

/** The convicted owner brings a second referee's run of just what the first one ran. */
export async function openAppeal(round: Round, document: Verified<"appeal">): Promise<Outcome> {
  const found = await brought(round, document, "owner");
  if (!found.ok) return found;
  const { data: lease } = found.lease;
  const [verdict, result, ruling] = await Promise.all([
    stored(round, "verdict", lease.verdict?.id),
    stored(round, "result", lease.result?.id),
    stored(round, "result", found.run.data.result?.id),
  ]);
  if (!verdict || !result || !ruling) return refuse("not_comparable", { refereeLease: found.run.data.id, why: "its run has no result" });
  const judgement = judgeAppeal(round.services.crypto, result.payload, verdict.payload, ruling.payload, lease);
  if (!judgement.ok) return refuse("not_comparable", { refereeLease: found.run.data.id, why: judgement.why });
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document);
  if (refusal) return refusal;
  const overturned = judgement.difference === null;
  const { id, server, owner, draw } = change.lease;
  const why = judgement.difference ?? "a second referee came to the same result as the server";
  const about = { lease: id, server, owner, referee: found.run.data.server, round: draw?.round ?? 1, verdict: verdict.id };
  const review = change.issue(
    "review",
    { ...about, ruling: ruling.envelope, overturned, why, at: change.at },
    { finding: overturned ? "agrees" : "differs" },
  );
  const reviewed = await change.planned({
    id: document.id,
    answer: { review: envelopeJson(review.envelope), overturned },
    events: finalEvents(change.lease, { review: review.id, why }),
  });
  return overturned ? withFirstReferee(round, reviewed, lease, ruling) : reviewed;
}

/** The first referee's result contradicts the second's: its pay goes back, its stake to whom it had convicted. */
async function withFirstReferee(round: Round, reviewed: Outcome, lease: LeaseRow, second: SignedDocument<"result">): Promise<Outcome> {
  const { convicting } = lease.judgedBy;
  const run = convicting === null ? null : await round.get("lease", convicting);
  const first = await stored(round, "result", run?.data.result?.id);
  const judgement = run && first && judgeReferees(first.payload, second.payload, run.data);
  if (!reviewed.ok || !run || run.data.state !== "settled" || !first || !judgement?.ok || judgement.difference === null) return reviewed;
  const change = await LeaseChange.of(round, run);
  const { id, server, owner } = change.lease;
  const about = { lease: id, server, owner, referee: second.payload.server, round: null };
  const proof = { result: first.envelope, ruling: second.envelope, trace: null, segment: null, why: judgement.difference };
  const money = verdictMoney(change.lease, lease.owner);
  const verdict = change.issue("verdict", { ...about, ...proof, ...money, at: change.at }, { finding: "differs" });
  const events = finalEvents(change.lease, { verdict: verdict.id, why: judgement.difference });
  const convicted = await change.planned({ id: `contradicted/${id}`, events });
  return convicted.ok ? { ok: true, ...alongside(reviewed, convicted) } : convicted;
}
