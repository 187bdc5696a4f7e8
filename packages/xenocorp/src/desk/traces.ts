/**
 * Long jobs whose result is doubted: the server is asked for the roots of its states at checkpoints, inside a deadline in log time. Silence forfeits
 * the pay; only a proven lie takes stake. Who controls the inputs: the customer (request, step), the server (roots, every one of them).
 */
import { disputeDepositNanos, disputeWithinMs, moneyKey, nextLeaseState, traceRootsMax, traceWithinMs } from "@xenoservers/market";
import { refuse, rootAccountOf, type SignedDocument } from "@xenoservers/protocol";
import { isComparable } from "@xenoservers/verify";
import type { LeaseRow, Versioned } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { priceOf } from "./offer-index.ts";
import { manifestOf, release, stakeRelease } from "./leases.ts";
import { planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

export async function requestTrace(round: Round, document: SignedDocument<"trace-request">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, party, step } = document.payload;
  if (caller.key.account !== null)
    return refuse("key_not_allowed", { kind: document.kind, why: "the deposit is the whole party's, and the key is bound to one account" });
  const found = await round.get("lease", id);
  if (!found || found.data.customer !== party) return refuse("not_found", { lease: id });
  const { data: lease, version } = found;
  if (lease.trace) return refuse("wrong_state", { lease: id, why: "the server was asked already" });
  const state = lease.state === "disputed" ? lease.state : nextLeaseState(lease.state, "object");
  if (state === null) return refuse("wrong_state", { state: lease.state, lease: id });
  const result = await manifestOf(round, lease);
  if (!result || !isComparable(result.payload)) return refuse("not_comparable", { lease: id, why: "it did not end by itself with a result" });
  const fuel = BigInt(result.payload.fuel);
  const { memoryMib } = lease.resources;
  const most = traceRootsMax(memoryMib);
  if (BigInt(step) < 1n || fuel / BigInt(step) > BigInt(most))
    return refuse("bad_payload", { path: "step", why: `must make at most ${most} checkpoints of ${fuel} fuel` });
  const depositNanos = disputeDepositNanos(BigInt(lease.end!.dueNanos), priceOf(lease.price));
  const account = rootAccountOf(lease.customer);
  const answerBy = round.at + traceWithinMs(fuel, memoryMib);
  const data: LeaseRow = {
    ...lease,
    state,
    trace: { request: document.id, step, depositNanos: depositNanos.toString(), document: null },
    deadlineAt: answerBy,
  };
  return planned(round, {
    id: document.id,
    filed: [{ document, lease: id, parties: [lease.customer, lease.owner] }],
    answer: { answerBy, depositNanos: depositNanos.toString() },
    puts: [{ kind: "lease", id, expect: version, data }],
    transfers: [transfer(`${id}/deposit`, moneyKey(account, "available"), moneyKey(account, "locked"), depositNanos)],
    events: [lease.customer, lease.owner].map((to) => ({ party: to, kind: "lease-trace-requested", lease: id, data: { answerBy } })),
    effects: [{ kind: "to-server", server: lease.server, documents: [document.envelope] }],
  });
}

export async function receiveTrace(round: Round, document: SignedDocument<"trace">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, server, request, step, jobHash, engine, roots } = document.payload;
  const found = await round.get("lease", id);
  if (!found || found.data.serverKey !== caller.key.id || found.data.server !== server) return refuse("not_found", { lease: id });
  const { data: lease, version } = found;
  if (lease.state !== "disputed" || !lease.trace || lease.trace.document !== null) return refuse("wrong_state", { state: lease.state, lease: id });
  const result = (await manifestOf(round, lease))!;
  if (request !== lease.trace.request || step !== lease.trace.step || jobHash !== lease.jobHash || engine !== result.payload.engine)
    return refuse("result_mismatch", { lease: id, why: "the trace is not what was asked for" });
  const data: LeaseRow = {
    ...lease,
    trace: { ...lease.trace, document: document.id },
    deadlineAt: round.at + disputeWithinMs(BigInt(result.payload.fuel), lease.resources.memoryMib),
  };
  return planned(round, {
    id: document.id,
    filed: [{ document, lease: id, parties: [lease.customer, lease.owner] }],
    puts: [{ kind: "lease", id, expect: version, data }],
    events: [{ party: lease.customer, kind: "lease-traced", lease: id, data: { roots: roots.length } }],
  });
}

/** Nobody moved in time: the server's silence forfeits its pay, the customer's leaves the owner what it earned and the deposit. */
export function traceDue(round: Round, found: Versioned<LeaseRow>): Promise<Outcome> {
  const { data: lease } = found;
  const silent = lease.trace!.document === null;
  const by = { id: `dispute-due/${lease.id}`, filed: [] };
  const facts = { why: silent ? "the server did not answer in time" : "the customer did not follow up" };
  const conclusion = { judgement: "none" as const, stake: stakeRelease(lease), deposit: silent ? ("customer" as const) : ("owner" as const), answer: {} };
  return release(round, found, silent ? 0n : BigInt(lease.end!.ownerNanos), by, facts, conclusion);
}
