/**
 * The steps of a lease after its purchase order, as documents come in: each is folded, and the broker adds what follows from it. Which
 * step is allowed when, and who is paid what, stands in market/lease. Who controls the inputs: the server (acceptance, claim, result),
 * the customer (stop, extension, delivery, objection), the operator (ruling).
 */
import { NANOS_MAX, earlyClaim, extensionNanos, shortExtension } from "@xenoservers/market";
import { refuse, refuseFact, type Json, type Refusal, type Verified } from "@xenoservers/protocol";
import type { LeaseRow, Versioned } from "../store/store.ts";
import { leasePurse } from "./accounts.ts";
import { boundProblem, type PartyCaller } from "./caller.ts";
import { LeaseChange, bothParties, findLease, overEvents } from "./folding.ts";
import { leaseView } from "./lease-view.ts";
import { movedOn } from "./orders.ts";
import { envelopeJson, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const asJson = (value: unknown): Json => value as Json;

/** A lease that the key of this server, or a key of one of its parties, may speak of. */
const ofCaller =
  ({ key, party }: PartyCaller) =>
  (lease: LeaseRow): boolean =>
    key.role === "server" ? lease.serverKey === key.id : bothParties(lease).includes(party.data.id);

async function changeOf(
  round: Round,
  id: string,
  caller: PartyCaller,
  embedded: readonly string[] = [],
): Promise<{ ok: true; change: LeaseChange } | Refusal> {
  const found = await findLease(round, id, ofCaller(caller));
  return found.ok ? { ok: true, change: await LeaseChange.of(round, found.lease, embedded) } : found;
}

export async function acceptLease(round: Round, document: Verified<"acceptance">, caller: PartyCaller): Promise<Outcome> {
  const found = await changeOf(round, document.payload.lease, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  if (refusal) return refusal;
  const { id, orderId, slot, server } = change.lease;
  const opening = change.issue("opening", { lease: id, order: orderId, slot, acceptance: document.id, at: change.at });
  return change.planned({
    id: document.id,
    answer: { opening: envelopeJson(opening.envelope) },
    events: bothParties(change.lease).map((party) => ({ party, kind: "lease-opened", lease: id, data: { server } })),
  });
}

export async function receiveClaim(round: Round, document: Verified<"claim">, caller: PartyCaller): Promise<Outcome> {
  const { lease, sequence, usedMs, egressBytes } = document.payload;
  const found = await changeOf(round, lease, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  if (refusal) return refusal;
  const early = earlyClaim(change.lease, sequence, change.at);
  if (early) return refuseFact(early, { lease });
  const receipt = change.issue("claim-receipt", { lease, claim: document.id, sequence, usedMs, egressBytes, at: change.at });
  return change.planned({
    id: document.id,
    answer: { receipt: envelopeJson(receipt.envelope) },
    events: [{ party: change.lease.customer, kind: "lease-claim", lease, data: { sequence, usedMs } }],
  });
}

/** A stop ends billing at once; the server has the grace to hand in what there is. */
export async function stopLease(round: Round, document: Verified<"stop">, caller: PartyCaller): Promise<Outcome> {
  const found = await changeOf(round, document.payload.lease, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  if (refusal) return refusal;
  const { id, state, stop } = change.lease;
  const reason = stop?.reason ?? null;
  const stopping = bothParties(change.lease).map((party) => ({ party, kind: "lease-stopping", lease: id, data: { reason } }));
  const hasLapsed = state === "lapsed";
  const stopped = await change.planned({
    id: document.id,
    answer: { reason },
    events: hasLapsed ? (overEvents(change.lease, null) ?? []) : stopping,
  });
  // an owner that does not want an order ends this attempt, not the order
  return stopped.ok && hasLapsed && reason === "owner-stop" ? movedOn(round, change.lease, stopped) : stopped;
}

export async function extendLease(round: Round, document: Verified<"extension">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, durationMsMax, previous } = document.payload;
  const found = await changeOf(round, id, caller, [document.keyid]);
  if (!found.ok) return found;
  const { change } = found;
  const before = change.lease;
  const refusal = change.take(document);
  if (refusal) return refusal;
  const short = shortExtension(before, durationMsMax);
  if (short) return refuseFact(short, { lease: id });
  // what the key may still spend today, and its account's limits, hold for what is added to a lease too
  const purse = await leasePurse(round, caller, before);
  if (!purse.ok) return purse;
  change.drawOn(purse);
  const hold = BigInt(before.holdNanos) + extensionNanos(before, durationMsMax);
  if (hold > NANOS_MAX) return refuse("insufficient_funds", { account: before.purse, why: "nobody can hold as much as that time costs" });
  const holdNanos = hold.toString();
  change.issue("amendment", { lease: id, extension: document.envelope, durationMsMax, holdNanos, previous, at: change.at });
  return change.planned({
    id: document.id,
    answer: { durationMsMax, holdNanos },
    events: bothParties(before).map((to) => ({ party: to, kind: "lease-extended", lease: id, data: { durationMsMax } })),
  });
}

/** The settlement, where the lease is over by what it was just told, in the answer and the events. */
function settled(change: LeaseChange, id: string, told: { kind: string; data: { [key: string]: Json } }): Promise<Outcome> {
  const over = change.settleIfOver();
  const { customer, id: lease, result } = change.lease;
  const events = over
    ? overEvents(change.lease, asJson(leaseView(change.row)))
    : [{ party: customer, kind: told.kind, lease, data: told.data }];
  const answer = over?.settlement
    ? { closing: envelopeJson(over.closing.envelope), settlement: envelopeJson(over.settlement.envelope) }
    : { deliverBy: change.row.deadlineAt, result: result?.id ?? null };
  return change.planned({ id, answer, events: events ?? [] });
}

/** A result, with its customer's word that the bytes are there where the server has it already. */
export async function receiveResult(
  round: Round,
  document: Verified<"result">,
  caller: PartyCaller,
  delivery: Verified<"delivery"> | null,
): Promise<Outcome> {
  const found = await changeOf(round, document.payload.lease, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  if (refusal) return refusal;
  // a delivery that is not this customer's is as none: the result itself is as good without
  if (delivery && change.lease.state === "delivering") change.take(delivery);
  const { reason } = document.payload;
  return settled(change, document.id, { kind: "lease-delivering", data: { reason, deliverBy: change.row.deadlineAt } });
}

export async function receiveDelivery(round: Round, document: Verified<"delivery">, caller: PartyCaller): Promise<Outcome> {
  const found = await changeOf(round, document.payload.lease, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  return refusal ?? settled(change, document.id, { kind: "lease-delivered", data: {} });
}

/** The bytes of a result lie sealed with the broker: as good as delivered. `digest`: of the sealed bytes. */
export async function sealedHere(round: Round, id: string, digest: string): Promise<Outcome> {
  const found = await findLease(round, id, () => true);
  if (!found.ok) return found;
  const change = await LeaseChange.of(round, found.lease);
  const { state, result } = change.lease;
  if (state !== "delivering" || !result) return refuse("wrong_state", { lease: id, state });
  const document = change.issue("delivery", { lease: id, result: result.id, sealed: digest });
  return settled(change, document.id, { kind: "lease-delivered", data: {} });
}

/** Somebody computes another bill: what is pending waits for the operator, for a deposit, until a deadline. */
export async function object(round: Round, document: Verified<"objection">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, party, reason, expectedDueNanos } = document.payload;
  const bound = boundProblem(caller.key);
  if (bound) return bound;
  const found = await changeOf(round, id, caller);
  if (!found.ok) return found;
  const { change } = found;
  const refusal = change.take(document);
  if (refusal) return refusal;
  const depositNanos = change.lease.objection?.depositNanos ?? "0";
  return change.planned({
    id: document.id,
    answer: { depositNanos, ruleBy: change.row.deadlineAt },
    events: bothParties(change.lease).map((to) => ({
      party: to,
      kind: "lease-disputed",
      lease: id,
      data: { by: party, reason, expectedDueNanos },
    })),
  });
}

export async function rule(round: Round, document: Verified<"ruling">): Promise<Outcome> {
  const { lease: id, reason } = document.payload;
  const found = await findLease(round, id, () => true);
  if (!found.ok) return found;
  const change = await LeaseChange.of(round, found.lease);
  const refusal = change.take(document);
  return refusal ?? change.planned({ id: document.id, events: finalEvents(change.lease, { reason }) });
}

export function finalEvents(lease: LeaseRow, facts: { [key: string]: string }) {
  const { final } = lease;
  if (!final) return [];
  return bothParties(lease).map((party) => ({
    party,
    kind: "lease-final",
    lease: lease.id,
    data: { ownerNanos: final.ownerNanos, why: final.why, ...facts },
  }));
}

/** A silence that a deadline has made an end: the broker says so, and the money follows. */
export function silenced(change: LeaseChange, found: Versioned<LeaseRow>): Promise<Outcome> {
  change.settleIfOver();
  const { id, state } = change.lease;
  const events = overEvents(change.lease, state === "lapsed" ? null : asJson(leaseView(change.row)));
  return change.planned({ id: `silence/${id}/${found.version}`, events: events ?? [] });
}
