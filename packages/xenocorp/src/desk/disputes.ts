/**
 * Disputes over results: a customer who doubts a result has the same job run by a referee, an ordinary xenoserver that the operator
 * named, and brings that lease; of a long job, the one part in which the server's signed states go wrong. The signed manifests decide;
 * the broker runs nothing. Who controls the inputs: the customer (which leases), both servers (their manifests), the operator (who is a
 * referee).
 */
import { speaksAs, type Finding } from "@xenoservers/market";
import { parseDocumentOf, refuse, type Refusal, type SignedDocument, type Verified } from "@xenoservers/protocol";
import { judge } from "@xenoservers/verify";
import { readSetting } from "../store/settings.ts";
import type { LeaseRow } from "../store/store.ts";
import { LeaseChange, findLease } from "./folding.ts";
import { finalEvents } from "./leases.ts";
import { envelopeJson, planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const REFEREES = "referees";

export async function refereesOf(round: Round): Promise<string[]> {
  return readSetting("referees", await round.get("setting", REFEREES));
}

export async function nameReferee(round: Round, document: Verified<"referee">): Promise<Outcome> {
  const { server, active, clientId } = document.payload;
  if (!(await round.get("server", server))) return refuse("not_found", { server });
  const row = await round.get("setting", REFEREES);
  const others = (await refereesOf(round)).filter((id) => id !== server);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${clientId}`],
    puts: [
      { kind: "setting", id: REFEREES, expect: row?.version ?? 0, data: { id: REFEREES, value: active ? [...others, server] : others } },
    ],
  });
}

async function stored<K extends "result" | "trace">(
  round: Round,
  kind: K,
  id: string | null | undefined,
): Promise<SignedDocument<K> | null> {
  const document = id ? await round.services.store.document(id) : null;
  const parsed = document && parseDocumentOf(round.services.crypto, kind, document.envelope);
  return parsed?.ok ? parsed.document : null;
}

/** What must be so before a referee's lease can decide over another. */
function refereeProblem(lease: LeaseRow, referee: LeaseRow, referees: readonly string[]): Refusal | null {
  const wrong = (why: string): Refusal => refuse("not_comparable", { lease: lease.id, refereeLease: referee.id, why });
  if (!referees.includes(referee.server)) return wrong(`${referee.server} is not a referee of this market`);
  if (referee.owner === lease.owner) return wrong("a referee does not judge its own owner");
  return null;
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

export async function openDispute(round: Round, document: Verified<"dispute">): Promise<Outcome> {
  const { lease: id, refereeLease, party, segment } = document.payload;
  const ownLease = (lease: LeaseRow): boolean => lease.customer === party;
  const [found, judged] = await Promise.all([findLease(round, id, ownLease), findLease(round, refereeLease, ownLease)]);
  if (!found.ok) return found;
  if (!judged.ok) return judged;
  const { data: lease } = found.lease;
  if (!speaksAs(lease, document.signer, "customer")) return refuse("not_yours", { lease: id });
  const problem = refereeProblem(lease, judged.lease.data, await refereesOf(round));
  if (problem) return problem;
  const proof = await proofOf(round, lease, judged.lease.data, segment);
  if (!proof.ok) return proof;
  const finding: Finding = proof.difference === null ? "agrees" : "differs";
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document, { finding });
  if (refusal) return refusal;
  if (proof.difference === null) return change.planned({ id: document.id, events: finalEvents(change.lease, {}) });
  const verdict = convict(change, judged.lease.data, segment, { ...proof, difference: proof.difference });
  return change.planned({
    id: document.id,
    answer: { verdict: envelopeJson(verdict.envelope) },
    events: finalEvents(change.lease, { verdict: verdict.id, why: proof.difference }),
  });
}

/** The pay goes back, the stake that was locked for the lease goes to its customer, and the owner's record says so for good. */
function convict(
  change: LeaseChange,
  judged: LeaseRow,
  segment: number | null,
  { result, ruling, trace, difference }: Proof & { difference: string },
) {
  const { id, server, owner, end, stakeNanos } = change.lease;
  const refundNanos = (BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0)).toString();
  return change.issue(
    "verdict",
    {
      ...{
        lease: id,
        server,
        owner,
        referee: judged.server,
        result: result.envelope,
        ruling: ruling.envelope,
        trace: trace?.envelope ?? null,
      },
      ...{ segment, why: difference, refundNanos, slashedNanos: stakeNanos, at: change.at },
    },
    { finding: "differs" },
  );
}
