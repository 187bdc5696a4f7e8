/**
 * The steps of a lease after its purchase order: acceptance, claims, stop, extension, result, objection, ruling.
 * Who controls the inputs: the server (acceptance, claim, result), the customer (stop, extension, objection), the operator (ruling). Which step
 * is allowed when stands in market/lease.ts; who is paid, in market/terms.ts.
 */
import {
  checkClaim,
  costNanos,
  meteringOf,
  moneyKey,
  nextLeaseState,
  recordAfter,
  settle,
  unreachableAfterMs,
  type EndReason,
  type Judgement,
  type LeaseEvent,
} from "@xenoservers/market";
import { parseDocumentOf, refuse, rootAccountOf, type AnyDocument, type Json, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import { isComparable } from "@xenoservers/verify";
import type { LeaseRow, Versioned, WireTransfer } from "../store/store.ts";
import { ALLOWANCE_FLOOR, BROKER_ACCOUNT, allowanceTransfers } from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import { leaseView } from "./lease-view.ts";
import { priceOf } from "./offer-index.ts";
import { capacityTransfers, orderRowId } from "./orders.ts";
import { issue, planned, transfer, type Filed, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

type Found = { ok: true; lease: Versioned<LeaseRow> } | Refusal;

/** Unknown and not-yours look the same from outside. */
async function findLease(round: Round, id: string, may: (lease: LeaseRow) => boolean): Promise<Found> {
  const lease = await round.get("lease", id);
  return lease && may(lease.data) ? { ok: true, lease } : refuse("not_found", { lease: id });
}

function step(lease: LeaseRow, event: LeaseEvent): LeaseRow["state"] | Refusal {
  return nextLeaseState(lease.state, event) ?? refuse("wrong_state", { state: lease.state, lease: lease.id });
}

const both = (lease: LeaseRow): string[] => [lease.customer, lease.owner];

/** The broker stops waiting for a claim at the earlier of silence and the latest moment at which the job could still run. */
function nextDeadline(lease: LeaseRow, at: number): number {
  const { timings, startBy, durationMsMax } = lease;
  return Math.min(at + unreachableAfterMs(timings), startBy + durationMsMax + unreachableAfterMs(timings));
}

export async function acceptLease(round: Round, document: SignedDocument<"acceptance">, caller: PartyCaller): Promise<Outcome> {
  const found = await findLease(round, document.payload.lease, (lease) => lease.server === document.payload.server && lease.serverKey === caller.key.id);
  if (!found.ok) return found;
  const { data: lease, version } = found.lease;
  const order = await round.get("order", orderRowId(lease.orderId, lease.slot));
  if (lease.state === "lapsed" || order?.data.lease !== lease.id) return refuse("too_late", { lease: lease.id });
  const state = step(lease, "accept");
  if (typeof state !== "string") return state;
  if (lease.deadlineAt !== null && round.at > lease.deadlineAt) return refuse("too_late", { lease: lease.id, acceptBy: lease.deadlineAt });
  const opening = issue(round, "opening", { lease: lease.id, acceptance: document.id, at: round.at });
  const data: LeaseRow = { ...lease, state, openedAt: round.at, openingId: opening.id, deadlineAt: nextDeadline(lease, round.at) };
  return planned(round, {
    id: document.id,
    filed: [document, opening].map((filed) => ({ document: filed, lease: lease.id, parties: both(lease) })),
    answer: { opening: opening.envelope },
    puts: [{ kind: "lease", id: lease.id, expect: version, data }],
    events: both(lease).map((party) => ({ party, kind: "lease-opened", lease: lease.id, data: { server: lease.server } })),
  });
}

export async function receiveClaim(round: Round, document: SignedDocument<"claim">, caller: PartyCaller): Promise<Outcome> {
  const claim = document.payload;
  const found = await findLease(round, claim.lease, (lease) => lease.serverKey === caller.key.id);
  if (!found.ok) return found;
  const { data: lease, version } = found.lease;
  const state = step(lease, "claim");
  if (typeof state !== "string") return state;
  if (lease.commitment) return refuse("wrong_state", { state: lease.state, lease: lease.id });
  const last = lease.lastClaim ?? { id: lease.openingId!, incarnation: 1, sequence: 0, usedMs: 0, egressBytes: 0 };
  const refusal = checkClaim(last, { ...claim, id: document.id }, round.at - lease.openedAt!);
  if (refusal)
    return refuse(refusal, { lease: lease.id, last: last.id, lastSequence: last.sequence, lastUsedMs: last.usedMs, lastEgressBytes: last.egressBytes });
  const receipt = issue(round, "claim-receipt", {
    lease: lease.id,
    claim: document.id,
    sequence: claim.sequence,
    usedMs: claim.usedMs,
    egressBytes: claim.egressBytes,
    at: round.at,
  });
  const { incarnation, sequence, usedMs, egressBytes } = claim;
  const data: LeaseRow = {
    ...lease,
    state,
    lastClaim: { id: document.id, incarnation, sequence, usedMs, egressBytes, at: round.at },
    deadlineAt: state === "stopping" ? lease.deadlineAt : nextDeadline(lease, round.at),
  };
  return planned(round, {
    id: document.id,
    filed: [document, receipt].map((filed) => ({ document: filed, lease: lease.id, parties: both(lease) })),
    answer: { receipt: receipt.envelope },
    puts: [{ kind: "lease", id: lease.id, expect: version, data }],
    events: [{ party: lease.customer, kind: "lease-claim", lease: lease.id, data: { sequence, usedMs } }],
  });
}

/** A stop ends billing at once; the server has the grace to hand in what there is. */
export async function stopLease(round: Round, document: SignedDocument<"stop">): Promise<Outcome> {
  const found = await findLease(round, document.payload.lease, (lease) => both(lease).includes(document.payload.party));
  if (!found.ok) return found;
  const { data: lease, version } = found.lease;
  const state = step(lease, "stop");
  if (typeof state !== "string") return state;
  const reason: EndReason = lease.customer === document.payload.party ? "customer-stop" : "owner-stop";
  const filed = [{ document, lease: lease.id, parties: both(lease) }];
  if (state === "lapsed") return lapse(round, found.lease, document.id, filed);
  const data: LeaseRow = { ...lease, state, stopReason: reason, stopAt: round.at, deadlineAt: round.at + lease.timings.graceMs };
  return planned(round, {
    id: document.id,
    filed,
    answer: { reason },
    puts: [{ kind: "lease", id: lease.id, expect: version, data }],
    events: both(lease).map((party) => ({ party, kind: "lease-stopping", lease: lease.id, data: { reason } })),
    effects: [{ kind: "to-server", server: lease.server, documents: [document.envelope] }],
  });
}

/** A bound lease that never opened: everything goes back, nobody is paid. */
export function lapse(round: Round, { data: lease, version }: Versioned<LeaseRow>, id: string, filed: Filed[] = []): Outcome {
  const hold = BigInt(lease.holdNanos);
  return planned(round, {
    id,
    filed,
    puts: [{ kind: "lease", id: lease.id, expect: version, data: { ...lease, state: "lapsed", deadlineAt: null } }],
    floors: [ALLOWANCE_FLOOR],
    transfers: [
      transfer(`${lease.id}/lapse`, moneyKey(lease.purse, "held"), moneyKey(lease.purse, "available"), hold),
      ...allowanceTransfers(`${lease.id}/allowance-back`, lease.allowances, hold, "give-back"),
      stakeRelease(lease),
      ...capacityTransfers(lease.id, lease.server, lease.resources, "release"),
    ],
    events: both(lease).map((party) => ({ party, kind: "lease-lapsed", lease: lease.id, data: { order: lease.orderId } })),
    effects: [{ kind: "index-free", server: lease.server, resources: lease.resources, sign: 1 }],
  });
}

export function stakeRelease(lease: LeaseRow) {
  const account = rootAccountOf(lease.owner);
  return transfer(`${lease.id}/stake-back`, moneyKey(account, "locked"), moneyKey(account, "staked"), BigInt(lease.stakeNanos));
}

function depositRelease(lease: LeaseRow, to: "customer" | "owner") {
  const locked = moneyKey(rootAccountOf(lease.customer), "locked");
  const target = rootAccountOf(to === "customer" ? lease.customer : lease.owner);
  return lease.trace && transfer(`${lease.id}/deposit-back`, locked, moneyKey(target, "available"), BigInt(lease.trace.depositNanos));
}

/** The signed result of a lease that has one. */
export async function manifestOf(round: Round, lease: LeaseRow): Promise<SignedDocument<"result"> | null> {
  const stored = lease.end?.result ? await round.desk.store.document(lease.end.result) : null;
  const parsed = stored && parseDocumentOf(round.desk.crypto, "result", stored.envelope);
  return parsed?.ok ? parsed.document : null;
}

export async function extendLease(round: Round, document: SignedDocument<"extension">): Promise<Outcome> {
  const { lease: id, party, durationMsMax, previous } = document.payload;
  const found = await findLease(round, id, (lease) => lease.customer === party);
  if (!found.ok) return found;
  const { data: lease, version } = found.lease;
  const state = step(lease, "extend");
  if (typeof state !== "string") return state;
  const expected = lease.lastAmendment ?? lease.id;
  if (previous !== expected) return refuse("conflict", { why: "another extension came first", previous: expected });
  const { desk } = round;
  const limit = desk.index.get(lease.server)?.maxLeaseMs ?? lease.durationMsMax;
  if (durationMsMax <= lease.durationMsMax || durationMsMax > limit)
    return refuse("bad_payload", { path: "durationMsMax", why: `must be over ${lease.durationMsMax} and at most ${limit}` });
  const more =
    meteringOf(lease.terms) === "time"
      ? costNanos(lease.resources, priceOf(lease.price), durationMsMax) - costNanos(lease.resources, priceOf(lease.price), lease.durationMsMax)
      : 0n;
  const holdNanos = (BigInt(lease.holdNanos) + more).toString();
  const amendment = issue(round, "amendment", { lease: id, extension: document.envelope, durationMsMax, holdNanos, previous: expected, at: round.at });
  const data: LeaseRow = { ...lease, state, durationMsMax, holdNanos, timeBound: "time-limit", lastAmendment: amendment.id };
  data.deadlineAt = nextDeadline(data, round.at);
  return planned(round, {
    id: document.id,
    filed: [document, amendment].map((filed) => ({ document: filed, lease: id, parties: both(lease) })),
    answer: { durationMsMax, holdNanos },
    puts: [{ kind: "lease", id, expect: version, data }],
    floors: [ALLOWANCE_FLOOR],
    transfers: [
      transfer(`${amendment.id}/hold`, moneyKey(lease.purse, "available"), moneyKey(lease.purse, "held"), more),
      ...allowanceTransfers(`${amendment.id}/allowance`, lease.allowances, more, "use"),
    ],
    events: both(lease).map((to) => ({ party: to, kind: "lease-extended", lease: id, data: { durationMsMax } })),
    effects: [{ kind: "to-server", server: lease.server, documents: [amendment.envelope] }],
  });
}

/** The reasons that a server may not use to be paid unless the broker's own record bears them out. */
function resultRefusal(lease: LeaseRow, { reason, usedMs, egressBytes, fuel, jobHash, lastClaim }: SignedDocument<"result">["payload"]): Refusal | null {
  const wrong = (why: string) => refuse("result_mismatch", { lease: lease.id, why });
  if (reason === "segment-end" && !lease.segment) return wrong("a whole job was ordered, not a segment");
  if (jobHash !== lease.jobHash) return wrong("jobHash is not the order's");
  if (lastClaim !== (lease.lastClaim?.id ?? lease.openingId)) return wrong("lastClaim is not the last receipted claim or the opening");
  if (usedMs < (lease.lastClaim?.usedMs ?? 0) || egressBytes < (lease.lastClaim?.egressBytes ?? 0)) return refuse("claim_decreasing", { lease: lease.id });
  if ((reason === "customer-stop" || reason === "owner-stop") && lease.stopReason !== reason && reason !== "owner-stop")
    return wrong("nobody stopped this lease");
  const timeIsUp = reason === lease.timeBound && usedMs >= lease.durationMsMax;
  const fuelIsUp = reason === lease.fuelBound && BigInt(fuel) >= BigInt(lease.fuelMax);
  // a segment ends where its job does, whose limit is not this lease's
  const segmentsOwnLimit = lease.segment && reason === "fuel-limit";
  if ((reason === "time-limit" || reason === "fuel-limit" || reason === "budget") && !timeIsUp && !fuelIsUp && !segmentsOwnLimit)
    return wrong(`neither ${lease.durationMsMax} ms (${lease.timeBound}) nor ${lease.fuelMax} fuel (${lease.fuelBound}) were used up`);
  if (reason === "input-missing" && (usedMs > 0 || fuel !== "0")) return wrong("a job without its inputs cannot have used anything");
  return null;
}

/** A replica shows what it committed to, after all have; its host's failure is no result, and must be told before. */
function commitmentRefusal(lease: LeaseRow, { id, payload }: SignedDocument<"result">): Refusal | null {
  if (lease.siblings.length === 0) return null;
  if (!isComparable(payload)) return lease.commitment === null ? null : refuse("result_mismatch", { lease: lease.id, why: "a result was committed to" });
  if (!lease.commitment?.revealed)
    return refuse("wrong_state", { lease: lease.id, state: lease.state, why: "results are shown after every replica has committed" });
  return lease.commitment.result === id ? null : refuse("result_mismatch", { lease: lease.id, why: "it is not the result that was committed to" });
}

export async function receiveResult(round: Round, document: SignedDocument<"result">, caller: PartyCaller): Promise<Outcome> {
  const result = document.payload;
  const found = await findLease(round, result.lease, (lease) => lease.serverKey === caller.key.id && lease.server === result.server);
  if (!found.ok) return found;
  const { data: lease } = found.lease;
  const state = step(lease, "settle");
  if (typeof state !== "string") return state;
  const refusal = resultRefusal(lease, result) ?? commitmentRefusal(lease, document);
  if (refusal) return refusal;
  if (result.reason === "input-missing" && round.at < lease.startBy)
    return refuse("result_mismatch", { lease: lease.id, why: "the customer still has time to deliver the inputs", startBy: lease.startBy });
  return settleLease(round, found.lease, result.reason, document);
}

/** Ends a lease: closing, settlement, and the money, in one change. `result` is absent where a timer ends it. */
export function settleLease(round: Round, { data: lease, version }: Versioned<LeaseRow>, reason: EndReason, result: SignedDocument<"result"> | null): Outcome {
  const { at } = round;
  const closing = issue(round, "closing", { lease: lease.id, reason, at, lastClaim: lease.lastClaim?.id ?? null });
  const claimedMs = result?.payload.usedMs ?? lease.lastClaim?.usedMs ?? 0;
  const openMs = lease.openedAt === null ? 0 : (lease.stopAt ?? at) - lease.openedAt;
  const bill = settle({
    reason,
    terms: lease.terms,
    resources: lease.resources,
    price: priceOf(lease.price),
    holdNanos: BigInt(lease.holdNanos),
    feeBasisPoints: lease.feeBasisPoints,
    durationMsMax: lease.durationMsMax,
    fuelMax: BigInt(lease.fuelMax),
    claimedMs,
    claimedFuel: BigInt(result?.payload.fuel ?? 0),
    claimedEgressBytes: BigInt(result?.payload.egressBytes ?? lease.lastClaim?.egressBytes ?? 0),
    egressMibMax: lease.egressMibMax,
    openMs,
    cancellationNanos: BigInt(lease.cancellationNanos),
  });
  const amounts = {
    dueNanos: bill.dueNanos.toString(),
    feeNanos: bill.feeNanos.toString(),
    ownerNanos: bill.ownerNanos.toString(),
    refundNanos: bill.refundNanos.toString(),
  };
  const windowEndsAt = at + lease.timings.disputeWindowMs;
  const settlement = issue(round, "settlement", {
    lease: lease.id,
    result: result?.id ?? null,
    closing: closing.id,
    reason,
    blame: bill.blame,
    billableMs: bill.billableMs,
    billableFuel: bill.billableFuel.toString(),
    billableEgressBytes: Number(bill.billableEgressBytes),
    ...amounts,
    windowEndsAt,
    at,
  });
  const documents: (SignedDocument | AnyDocument)[] = [...(result ? [result] : []), closing, settlement];
  const end = {
    reason,
    blame: bill.blame,
    at,
    billableMs: bill.billableMs,
    billableFuel: bill.billableFuel.toString(),
    billableEgressBytes: Number(bill.billableEgressBytes),
    ...amounts,
    exitCode: result?.payload.exitCode ?? null,
    result: result?.id ?? null,
    windowEndsAt,
  };
  const row: LeaseRow = { ...lease, state: "settled", end, deadlineAt: windowEndsAt };
  const held = moneyKey(lease.purse, "held");
  return planned(round, {
    id: result?.id ?? `settle/${lease.id}`,
    filed: documents.map((document) => ({ document, lease: lease.id, parties: both(lease) })),
    answer: { closing: closing.envelope, settlement: settlement.envelope },
    puts: [{ kind: "lease", id: lease.id, expect: version, data: row }],
    floors: [ALLOWANCE_FLOOR],
    transfers: [
      transfer(`${lease.id}/pay`, held, moneyKey(rootAccountOf(lease.owner), "pending"), bill.ownerNanos),
      transfer(`${lease.id}/fee`, held, moneyKey(BROKER_ACCOUNT, "pending"), bill.feeNanos),
      transfer(`${lease.id}/refund`, held, moneyKey(lease.purse, "available"), bill.refundNanos),
      ...allowanceTransfers(`${lease.id}/allowance-back`, lease.allowances, bill.refundNanos, "give-back"),
      ...capacityTransfers(lease.id, lease.server, lease.resources, "release"),
    ],
    events: both(lease).map((party) => ({
      party,
      kind: "lease-settled",
      lease: lease.id,
      data: {
        ...amounts,
        reason,
        blame: bill.blame,
        exitCode: end.exitCode,
        billableMs: bill.billableMs,
        billableFuel: end.billableFuel,
        lease: leaseView(row) as unknown as Json,
      },
    })),
    effects: [
      { kind: "index-free", server: lease.server, resources: lease.resources, sign: 1 },
      { kind: "to-server", server: lease.server, documents: [closing.envelope, settlement.envelope] },
    ],
  });
}

export async function object(round: Round, document: SignedDocument<"objection">): Promise<Outcome> {
  const { lease: id, party, reason, expectedDueNanos } = document.payload;
  const found = await findLease(round, id, (lease) => both(lease).includes(party));
  if (!found.ok) return found;
  const { data: lease, version } = found.lease;
  const state = step(lease, "object");
  if (typeof state !== "string") return state;
  return planned(round, {
    id: document.id,
    filed: [{ document, lease: id, parties: both(lease) }],
    puts: [{ kind: "lease", id, expect: version, data: { ...lease, state, deadlineAt: null } }],
    events: both(lease).map((to) => ({ party: to, kind: "lease-disputed", lease: id, data: { by: party, reason, expectedDueNanos } })),
  });
}

/** The operator decides an objection: how much of the pending pay the owner keeps; the rest, and its part of the fee, goes back to the customer. */
export async function rule(round: Round, document: SignedDocument<"ruling">): Promise<Outcome> {
  const { lease: id, ownerNanos, reason } = document.payload;
  const found = await findLease(round, id, () => true);
  if (!found.ok) return found;
  const state = step(found.lease.data, "rule");
  if (typeof state !== "string") return state;
  const pending = BigInt(found.lease.data.end!.ownerNanos);
  if (BigInt(ownerNanos) > pending) return refuse("bad_payload", { path: "ownerNanos", why: `at most ${pending}` });
  return release(round, found.lease, BigInt(ownerNanos), { id: document.id, filed: [{ document, lease: id, parties: both(found.lease.data) }] }, { reason });
}

interface Conclusion {
  judgement: Judgement;
  /** Who gets what the customer put down for the server's second run. */
  deposit: "customer" | "owner";
  /** Where the stake that was locked for the lease goes. */
  stake: WireTransfer | null;
  answer: { [key: string]: Json };
}

/** Pending pay becomes available, the stake is free again, and the owner's record grows, once nobody can object any more. */
export async function release(
  round: Round,
  { data: lease, version }: Versioned<LeaseRow>,
  ownerNanos: bigint,
  by: { id: string; filed: Filed[] },
  facts: { [key: string]: string } = {},
  { judgement, stake, deposit, answer }: Conclusion = { judgement: "none", stake: stakeRelease(lease), deposit: "customer", answer: {} },
): Promise<Outcome> {
  const end = lease.end!;
  const party = (await round.get("party", lease.owner))!;
  const record = recordAfter(party.data.record, end.reason, judgement);
  const pendingOwner = BigInt(end.ownerNanos);
  const pendingFee = BigInt(end.feeNanos);
  const feeNanos = pendingOwner === 0n ? pendingFee : (pendingFee * ownerNanos) / pendingOwner;
  const owner = rootAccountOf(lease.owner);
  const customer = moneyKey(rootAccountOf(lease.customer), "available");
  const back = pendingOwner - ownerNanos + (pendingFee - feeNanos);
  return planned(round, {
    ...by,
    answer,
    puts: [
      { kind: "lease", id: lease.id, expect: version, data: { ...lease, state: "final", deadlineAt: null } },
      { kind: "party", id: party.data.id, expect: party.version, data: { ...party.data, record } },
    ],
    floors: [ALLOWANCE_FLOOR],
    transfers: [
      transfer(`${lease.id}/release`, moneyKey(owner, "pending"), moneyKey(owner, "available"), ownerNanos),
      transfer(`${lease.id}/release-fee`, moneyKey(BROKER_ACCOUNT, "pending"), moneyKey(BROKER_ACCOUNT, "available"), feeNanos),
      transfer(`${lease.id}/ruled-back`, moneyKey(owner, "pending"), customer, pendingOwner - ownerNanos),
      transfer(`${lease.id}/ruled-back-fee`, moneyKey(BROKER_ACCOUNT, "pending"), customer, pendingFee - feeNanos),
      ...allowanceTransfers(`${lease.id}/allowance-ruled`, lease.allowances, back, "give-back"),
      depositRelease(lease, deposit),
      stake,
    ],
    events: both(lease).map((party) => ({ party, kind: "lease-final", lease: lease.id, data: { ownerNanos: ownerNanos.toString(), ...facts } })),
  });
}
