/**
 * Disputes over results: a customer who doubts a result has the same job run by a referee, an ordinary xenoserver that the operator named, and
 * brings that lease; of a long job, the one part in which the server's signed states go wrong. The signed manifests decide; the broker runs nothing. Who controls the inputs: the customer (which leases), both servers
 * (their manifests), the operator (who is a referee).
 */
import { moneyKey } from "@xenoservers/market";
import { parseDocumentOf, refuse, rootAccountOf, type Payload, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import { isComparable, judge } from "@xenoservers/verify";
import type { LeaseRow } from "../store/store.ts";
import { manifestOf, release, stakeRelease } from "./leases.ts";
import { issue, planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const REFEREES = "referees";

export async function refereesOf(round: Round): Promise<string[]> {
  return ((await round.get("setting", REFEREES))?.data.value as string[] | undefined) ?? [];
}

export async function nameReferee(round: Round, document: SignedDocument<"referee">): Promise<Outcome> {
  const { server, active, clientId } = document.payload;
  if (!(await round.get("server", server))) return refuse("not_found", { server });
  const row = await round.get("setting", REFEREES);
  const others = (await refereesOf(round)).filter((id) => id !== server);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${clientId}`],
    puts: [{ kind: "setting", id: REFEREES, expect: row?.version ?? 0, data: { id: REFEREES, value: active ? [...others, server] : others } }],
  });
}

/** What must be so before a referee's lease can decide over another. */
function problemWith(lease: LeaseRow, referee: LeaseRow, referees: readonly string[]): Refusal | null {
  const wrong = (why: string): Refusal => refuse("not_comparable", { lease: lease.id, refereeLease: referee.id, why });
  if (!referees.includes(referee.server)) return wrong(`${referee.server} is not a referee of this market`);
  if (referee.owner === lease.owner) return wrong("a referee does not judge its own owner");
  return null;
}

async function traceOf(round: Round, lease: LeaseRow): Promise<SignedDocument<"trace"> | null> {
  const stored = lease.trace?.document ? await round.desk.store.document(lease.trace.document) : null;
  const parsed = stored && parseDocumentOf(round.desk.crypto, "trace", stored.envelope);
  return parsed?.ok ? parsed.document : null;
}

export async function openDispute(round: Round, document: SignedDocument<"dispute">): Promise<Outcome> {
  const { lease: id, refereeLease, party, segment } = document.payload;
  const [found, judged] = await Promise.all([round.get("lease", id), round.get("lease", refereeLease)]);
  if (!found || found.data.customer !== party) return refuse("not_found", { lease: id });
  if (!judged || judged.data.customer !== party) return refuse("not_found", { lease: refereeLease });
  const { data: lease } = found;
  if (lease.state !== "settled" && lease.state !== "disputed") return refuse("wrong_state", { state: lease.state, lease: id });
  const problem = problemWith(lease, judged.data, await refereesOf(round));
  if (problem) return problem;
  const [result, ruling, trace] = await Promise.all([
    manifestOf(round, lease),
    manifestOf(round, judged.data),
    segment === null ? null : traceOf(round, lease),
  ]);
  if (!result || !isComparable(result.payload)) return refuse("not_comparable", { lease: id, why: "it did not end by itself with a result" });
  if (!ruling) return refuse("not_comparable", { refereeLease, why: "the referee's lease has no result" });
  const judgement = judge(round.desk.crypto, result.payload, ruling.payload, segment === null ? null : { trace: trace?.payload ?? null, segment });
  if (!judgement.ok) return refuse("not_comparable", { refereeLease, why: judgement.why });
  const { difference } = judgement;
  if (difference === null) {
    // one right segment says nothing of the others, so it ends a dispute only where the customer brought no wrong one in time
    if (lease.state === "settled" || segment !== null) return refuse("result_agrees", { lease: id, refereeLease });
    // the pay was frozen by an objection; what it was frozen for is decided
    const by = { id: document.id, filed: [{ document, lease: id, parties: [lease.customer, lease.owner] }] };
    return release(round, found, BigInt(lease.end!.ownerNanos), by, {}, { judgement: "right", stake: stakeRelease(lease), deposit: "owner", answer: {} });
  }
  return convict(round, found.version, lease, judged.data, document, { result, ruling, trace, difference });
}

interface Proof {
  result: SignedDocument<"result">;
  ruling: SignedDocument<"result">;
  trace: SignedDocument<"trace"> | null;
  difference: string;
}

/** The pay goes back, the stake that was locked for the lease goes to its customer, and the owner's record says so for good. */
async function convict(
  round: Round,
  version: number,
  lease: LeaseRow,
  judged: LeaseRow,
  document: SignedDocument<"dispute">,
  { result, ruling, trace, difference }: Proof,
): Promise<Outcome> {
  const end = lease.end!;
  const payload: Omit<Payload<"verdict">, "origin" | "seen"> = {
    lease: lease.id,
    server: lease.server,
    owner: lease.owner,
    referee: judged.server,
    result: result.envelope,
    ruling: ruling.envelope,
    trace: trace?.envelope ?? null,
    segment: document.payload.segment,
    why: difference,
    refundNanos: (BigInt(end.ownerNanos) + BigInt(end.feeNanos)).toString(),
    slashedNanos: lease.stakeNanos,
    at: round.at,
  };
  const verdict = issue(round, "verdict", payload);
  const parties = [lease.customer, lease.owner];
  return release(
    round,
    { data: lease, version },
    0n,
    { id: document.id, filed: [document, verdict].map((filed) => ({ document: filed, lease: lease.id, parties })) },
    { verdict: verdict.id, why: difference },
    {
      judgement: "wrong",
      deposit: "customer",
      answer: { verdict: verdict.envelope },
      stake: transfer(
        `${lease.id}/slash`,
        moneyKey(rootAccountOf(lease.owner), "locked"),
        moneyKey(rootAccountOf(lease.customer), "available"),
        BigInt(lease.stakeNanos),
      ),
    },
  );
}
