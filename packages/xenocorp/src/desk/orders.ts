/**
 * Orders: find a server, freeze price and limits in a purchase order, hold the money, reserve the capacity: one change, all or nothing.
 * Who controls the inputs: the customer (the order), owners (their offers). Nothing here is paid; it is only held.
 */
import {
  ATTEMPTS_MAX,
  NO_FAILED_FETCHES,
  asksForFetch,
  auditPpmOf,
  couldTake,
  deadlineOf,
  drawReplicas,
  explainExclusions,
  invariant,
  match,
  moneyKey,
  noFetchUntil,
  orderProblem,
  paysForWork,
  plus,
  quoteOn,
  sameTimings,
  stakeToLockNanos,
  step,
  wirePriceOf,
  wishOf,
  type Candidate,
  type Lease,
  type Resources,
} from "@xenoservers/market";
import {
  ofAnyKind,
  parseDocumentOf,
  refuse,
  rootAccountOf,
  toHex,
  utf8,
  type Envelope,
  type Refusal,
  type SignedDocument,
} from "@xenoservers/protocol";
import type { Verified } from "@xenoservers/protocol";
import { factOf } from "@xenoservers/verify";
import type { LeaseRow, OrderRow } from "../store/store.ts";
import { ALLOWANCE_FLOOR, batchPurse, purseFor, type Purse } from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import { credentialsOf } from "./credentials.ts";
import { feeAt, feesOf, type AnnouncedFee } from "./fees.ts";
import { worldOf } from "./folding.ts";
import { boundMoney } from "./money.ts";
import { judgedBy } from "./judging.ts";
import type { OfferIndex } from "./offer-index.ts";
import { waitingOrderOf } from "./waiting-orders.ts";
import { leavePlace, takePlace } from "./waiting-places.ts";
import { alongside, envelopeJson, issue, planned, type Outcome, type Planned } from "./outcome.ts";
import type { Round } from "./round.ts";

type Order = SignedDocument<"order">["payload"];

/** Everything that would refuse it whatever servers there are, and where its money comes from. */
export async function checkOrder(
  round: Round,
  document: Verified<"order">,
  caller: PartyCaller,
): Promise<({ ok: true } & Purse) | Refusal> {
  const order = document.payload;
  const { data: party } = caller.party;
  if (party.suspended) return refuse("suspended", { reason: party.suspensionReason });
  if (order.expiresAt <= round.at) return refuse("expired", { expiresAt: order.expiresAt });
  const wrong = orderProblem(order);
  if (wrong) return refuse(wrong.path === "conditions" ? "bad_condition" : "bad_payload", wrong);
  const { key } = caller;
  if (key.leaseLabel !== null && key.leaseLabel !== order.label)
    return refuse("key_not_allowed", { label: key.leaseLabel, why: "the key orders under its own label only" });
  const until = asksForFetch(order.conditions) ? noFetchUntil(party.failedFetches ?? NO_FAILED_FETCHES, round.at) : null;
  if (until !== null) return refuse("fetches_failed", { until });
  return order.batch === null ? purseFor(round, caller, order.account) : batchPurse(round, caller, order.batch, order.account);
}

export async function placeOrder(round: Round, document: Verified<"order">, caller: PartyCaller): Promise<Outcome> {
  const purse = await checkOrder(round, document, caller);
  if (!purse.ok) return purse;
  const first = { attempt: 1, triedServers: [], previous: null };
  return document.payload.judges === null ? bind(round, document, purse, first) : bindJudging(round, document, purse, first);
}

/** A referee's run, on the only one whose turn it is: the judged lease changes with it. */
async function bindJudging(round: Round, document: Verified<"order">, purse: Purse, attempt: Attempt): Promise<Outcome> {
  const { judges } = document.payload;
  invariant(judges !== null, "it judges a lease");
  const judged = await judgedBy(round, document, judges);
  if (!judged.ok) return judged;
  const { change, referee } = judged;
  // the room that was kept for it is given back first, and taken by the run
  const bound = await bind(round, document, purse, { ...attempt, only: { server: referee, room: change.freed } });
  if (!bound.ok) return bound;
  change.judgedBy({ latest: leaseIn(bound) });
  const other = await change.planned({ id: document.id });
  if (!other.ok) return other;
  const { change: all, effects } = alongside(other, bound);
  return { ok: true, change: { ...all, answer: bound.change.answer }, effects };
}

/** The lease that an order was bound to. */
function leaseIn({ change: { puts } }: Planned): string {
  const put = puts.find(({ kind }) => kind === "lease");
  invariant(put, "an order is bound to a lease");
  return put.id;
}

interface Attempt {
  attempt: number;
  triedServers: readonly string[];
  /** The order's row and what an earlier attempt gives back in the same change. */
  previous: { version: number; row: OrderRow } | null;
  /** The only server it may go to, with room that is given back in the same change; absent: any. */
  only?: { server: string; room: Resources | null };
}

/** Whether an offer was signed for the timings and the fee that a purchase order would freeze now. */
const isCurrent = ({ timings, feeBasisPointsMax }: Candidate, round: Round, fee: number): boolean =>
  feeBasisPointsMax >= fee && sameTimings(timings, round.services.config.timings);

export async function bind(round: Round, document: SignedDocument<"order">, purse: Purse, attempt: Attempt): Promise<Outcome> {
  const { at, services } = round;
  const order = document.payload;
  const fee = feeAt(await feesOf(round), at);
  const basisPoints = fee?.basisPoints ?? 0;
  if (!sameTimings(order.timings, services.config.timings) || order.feeBasisPointsMax < basisPoints)
    return refuse("stale_terms", {
      feeBasisPoints: basisPoints,
      why: "the market's timings or fee have changed since its customer read them",
    });
  const chosen = await choose(round, document, attempt, basisPoints);
  if (!chosen.ok) return chosen;
  const slots: Slot[] = [];
  for (const [slot, candidate] of chosen.drawn.entries()) {
    const made = await slotFor(round, document, { candidate, slot, attempt: attempt.attempt, fee });
    if (!made.ok) return made;
    slots.push(made);
  }
  const leases = slots.map(({ lease }) => lease.id);
  const grants = await credentialsOf(services).of(slots.map(({ po }) => po.envelope));
  const plans = slots.map((made) => {
    const siblings = leases.filter((id) => id !== made.lease.id);
    return bindTo(round, document, purse, made, { ...attempt, siblings, grants: grants.map(({ envelope }) => envelope) });
  });
  return together(plans, slots);
}

const UNPAID = "the budget does not pay for any work of the servers that fit";

type Chosen = { ok: true; drawn: Candidate[] } | Refusal;

/** The servers that the order goes to: the cheapest that fits, or one of each of several owners by chance. */
async function choose(
  round: Round,
  { id, payload: order }: SignedDocument<"order">,
  { triedServers, only }: Attempt,
  fee: number,
): Promise<Chosen> {
  const { services, at } = round;
  const { replicas } = order;
  const { matches, excluded } = match(only ? onlyOne(services.index, only) : services.index.all(), wishOf(order), at);
  const open = only ? matches : matches.filter((candidate) => !services.waiting.isForAnother(candidate, { id, customer: order.party }));
  if (open.length < matches.length) excluded["reserved"] = matches.length - open.length;
  const untried = byOwnersTried(services.index, open, triedServers);
  const fresh = untried.filter((candidate) => isCurrent(candidate, round, fee));
  if (fresh.length < untried.length) excluded["terms"] = untried.length - fresh.length;
  // one that is cheap by the hour may be dear by what its guest sends
  const payable = fresh.filter((candidate) => canPay(order, candidate));
  if (payable.length === 0 && fresh.length > 0) return refuse("insufficient_funds", { budgetNanos: order.budgetNanos, why: UNPAID });
  if (payable.length < fresh.length) excluded["budget"] = fresh.length - payable.length;
  const staked = await withStake(round, order, payable);
  const drawn = replicas === 1 ? staked.slice(0, 1) : (drawReplicas(staked, replicas, drawOf(round, id)) ?? []);
  if (drawn.length > 0) return { ok: true, drawn };
  if (payable.length > staked.length) excluded["stake"] = payable.length - staked.length;
  if (staked.length > 0) excluded["owners"] = staked.length;
  const owners =
    replicas === 1
      ? ""
      : `; ${replicas} replicas take ${replicas} owners, each with a server that fits and stake for the order's worst cost`;
  const later = await couldTakeLater(round, order, triedServers);
  const found = new Set(later.map(({ owner }) => owner)).size >= replicas && !only;
  return refuse(found ? "busy" : "no_match", { excluded, explanation: explainExclusions(excluded) + owners });
}

const canPay = (order: Order, { price }: Candidate): boolean => paysForWork(quoteOn(order, { price: wirePriceOf(price) }, 0));

/** Servers that could take it at another time: where there are enough, the market is full and not without what is wanted. */
export async function couldTakeLater(round: Round, order: Order, tried: readonly string[]): Promise<readonly Candidate[]> {
  const wish = wishOf(order);
  const able = [...round.services.index.all()].filter(
    (candidate) => !tried.includes(candidate.server) && couldTake(candidate, wish, round.at) && canPay(order, candidate),
  );
  return withStake(round, order, able);
}

/** Without the servers that it was tried on; other servers of the same owners come last. */
function byOwnersTried(index: OfferIndex, matches: readonly Candidate[], tried: readonly string[]): Candidate[] {
  const owners = new Set(tried.map((server) => index.get(server)?.owner));
  const untried = matches.filter(({ server }) => !tried.includes(server));
  return [...untried.filter(({ owner }) => !owners.has(owner)), ...untried.filter(({ owner }) => owners.has(owner))];
}

/** One candidate, with the room that is given back to it. */
function onlyOne(index: OfferIndex, { server, room }: NonNullable<Attempt["only"]>): Candidate[] {
  const candidate = index.get(server);
  if (!candidate) return [];
  return [{ ...candidate, free: room ? plus(candidate.free, room) : candidate.free }];
}

/** What nobody outside can foresee: by the broker's secret, fixed by the order. */
function drawOf({ services: { crypto, keys } }: Round, orderId: string): (i: number) => number {
  return (i) => Number.parseInt(toHex(crypto.hmacSha256(keys.secret, utf8(`draw ${orderId} ${i}`))).slice(0, 12), 16) / 2 ** 48;
}

/** The slots of one order are bound in one change: all or none. */
function together(plans: readonly Planned[], slots: readonly Slot[]): Outcome {
  const [first, ...others] = plans;
  invariant(first, "an order is bound to at least one server");
  if (others.length === 0) return first;
  const { change, effects } = alongside(first, ...others);
  const replicas = slots.map(({ po }) => ({ lease: po.id, purchaseOrder: envelopeJson(po.envelope) }));
  const answer = first.change.answer;
  const told = { ...(typeof answer === "object" && !Array.isArray(answer) ? answer : {}), replicas };
  return { ok: true, change: { ...change, answer: told }, effects };
}

/** Those whose owners have the stake that this order locks; the books decide again when it is locked. */
async function withStake(round: Round, order: Order, candidates: readonly Candidate[]): Promise<readonly Candidate[]> {
  if (order.assurance === "isolated") return candidates;
  const keyOf = ({ owner }: Candidate): string => moneyKey(rootAccountOf(owner), "staked");
  const books = await round.services.store.balances([...new Set(candidates.map(keyOf))]);
  return candidates.filter((candidate) => {
    const { workNanos } = quoteOn(order, { price: wirePriceOf(candidate.price) }, 0);
    return (books.get(keyOf(candidate)) ?? 0n) >= stakeToLockNanos(order.assurance, workNanos);
  });
}

interface Slot {
  ok: true;
  po: Verified<"purchase-order">;
  /** As the fold has it at its beginning. */
  lease: Lease;
}

interface Choice {
  candidate: Candidate;
  slot: number;
  attempt: number;
  fee: AnnouncedFee | null;
}

/** Freezes everything that the lease will be settled by; the fold itself says whether it follows. */
async function slotFor(round: Round, document: SignedDocument<"order">, choice: Choice): Promise<Slot | Refusal> {
  const { candidate } = choice;
  const [offer, server, owner] = await Promise.all([
    round.services.store.document(candidate.offerId),
    round.get("server", candidate.server),
    round.get("party", candidate.owner),
  ]);
  if (!offer || server?.data.offerId !== candidate.offerId) return refuse("capacity_taken", { server: candidate.server });
  const po = purchaseOrderFor(round, document, choice, {
    offer: offer.envelope,
    serverKey: server.data.key,
    auditedBefore: owner?.data.record.audited ?? 0,
  });
  const fact = factOf(await worldOf(round, [document.keyid, server.data.key]), ofAnyKind(po), round.at);
  if (!fact?.ok) return refuse("capacity_taken", { server: candidate.server, why: "its key says nothing any more" });
  const bound = step(null, fact.fact);
  if (!bound.ok) return refuse("po_mismatch", { server: candidate.server, why: bound.why });
  return { ok: true, po, lease: bound.lease };
}

function purchaseOrderFor(
  round: Round,
  document: SignedDocument<"order">,
  { candidate, slot, attempt, fee }: Choice,
  { offer, serverKey, auditedBefore }: { offer: Envelope; serverKey: string; auditedBefore: number },
): Verified<"purchase-order"> {
  const { at, services } = round;
  const order = document.payload;
  const { timings } = services.config;
  const quoted = quoteOn(order, { price: wirePriceOf(candidate.price) }, slot);
  const { durationMsMax, fuelMax, timeBound, fuelBound, holdNanos, workNanos, cancellationNanos } = quoted;
  const acceptBy = at + timings.acceptWithinMs;
  return issue(round, "purchase-order", {
    ...{ order: document.envelope, offer, fee: fee?.envelope ?? null, orderId: document.id, offerId: candidate.offerId, slot, attempt },
    ...{ customer: order.party, account: order.account, owner: candidate.owner, server: candidate.server, serverKey },
    ...{ resources: order.resources, price: wirePriceOf(candidate.price), terms: order.terms, durationMsMax, timeBound, fuelBound },
    ...{ fuelMax: fuelMax.toString(), egressMibMax: order.egressMibMax, holdNanos: holdNanos.toString() },
    cancellationNanos: cancellationNanos.toString(),
    feeBasisPoints: fee?.basisPoints ?? 0,
    stakeNanos: stakeToLockNanos(order.assurance, workNanos).toString(),
    ...{ auditedBefore, auditPpm: auditPpmOf(order, auditedBefore), auditReserveNanos: quoted.auditReserveNanos.toString() },
    ...{ timings, issuedAt: at, acceptBy, startBy: acceptBy + timings.startWithinMs },
  });
}

/** An order's row; of one with replicas, each slot has its own. */
const orderRowId = (orderId: string, slot: number): string => (slot === 0 ? orderId : `${orderId}/${slot}`);

function bindTo(
  round: Round,
  document: SignedDocument<"order">,
  { purse, allowances, floors }: Purse,
  { lease: bound, po }: Slot,
  { attempt, triedServers, previous, siblings, grants }: Attempt & { siblings: string[]; grants: readonly Envelope[] },
): Planned {
  const { id: leaseId, slot, customer, owner, server, resources, holdNanos } = bound;
  const alone = { auditRound: null, seat: null, judgedBy: { latest: null, convicting: null }, recordBefore: null };
  const lease: LeaseRow = { ...bound, ...alone, siblings, purse, allowances, deadlineAt: deadlineOf(bound) };
  const id = orderRowId(document.id, slot);
  const before = slot === 0 ? previous : null;
  const waited = before?.row.waiting ?? null;
  const row: OrderRow = {
    ...{ id, customer, lease: leaseId, attempt, triedServers: [...triedServers, server], deadlineAt: null },
    ...(before?.row.mayWaitUntil === undefined ? {} : { waiting: null, mayWaitUntil: before.row.mayWaitUntil }),
  };
  return planned(round, {
    id: previous ? `attempt/${document.id}/${attempt}` : document.id,
    filed: [
      ...(previous || slot > 0 ? [] : [{ document, lease: leaseId, parties: [customer, owner] }]),
      { document: po, lease: leaseId, parties: [customer, owner] },
    ],
    answer: { order: document.id, lease: leaseId, purchaseOrder: envelopeJson(po.envelope), grants: grants.map(envelopeJson) },
    uniques: previous ? [] : [`${customer}/${document.payload.clientId}`],
    puts: [
      { kind: "order", id, expect: before?.version ?? 0, data: row },
      { kind: "lease", id: leaseId, expect: 0, data: lease },
    ],
    floors: [ALLOWANCE_FLOOR, ...floors],
    transfers: [...boundMoney(lease), ...(waited && before ? leavePlace({ order: id, customer, attempt: before.row.attempt }) : [])],
    events: [
      { party: customer, kind: "lease-bound", lease: leaseId, data: { order: document.id, server, attempt, holdNanos } },
      { party: owner, kind: "lease-bound", lease: leaseId, data: { server, attempt } },
    ],
    effects: [
      { kind: "index-free", server, resources, sign: -1 },
      { kind: "to-server", server, filed: [{ envelope: po.envelope, at: round.at }] },
      ...(waited ? [{ kind: "order-waits-no-more" as const, order: id }] : []),
    ],
  });
}

/** What a refusal says of the market, and not of the order: another time it may be taken. */
export const isMomentary = ({ code }: Refusal): boolean => ["busy", "no_match", "capacity_taken", "conflict"].includes(code);

/** An order that is to wait for room, or to wait again: its row, its place in the queue, and what everyone is told. */
export function waitFor(round: Round, { id, payload: order }: SignedDocument<"order">, before: Attempt["previous"], until: number) {
  const customer = order.party;
  const earlier = before?.row ?? { id, customer, lease: null, attempt: 0, triedServers: [] };
  const row: OrderRow = { ...earlier, deadlineAt: until, waiting: { since: round.at, until }, mayWaitUntil: until };
  const { floors, transfers } = takePlace({ order: id, customer, attempt: row.attempt });
  const waits = waitingOrderOf(row, order);
  return {
    ...{ floors, transfers },
    puts: [{ kind: "order" as const, id, expect: before?.version ?? 0, data: row }],
    events: [{ party: customer, kind: "order-waiting", lease: null, data: { order: id, until } }],
    effects: waits ? [{ kind: "order-waits" as const, order: waits }] : [],
  };
}

/**
 * After a server did not take it: the same order on another server, with a higher attempt, where one fits; where its customer lets it wait,
 * it waits for one that has room later. Else the order is over, with its money back.
 */
async function placeAgain(round: Round, lease: LeaseRow): Promise<Outcome | null> {
  const order = await round.get("order", lease.orderId);
  const document = await round.services.store.document(lease.orderId);
  if (!order || !document || order.data.lease !== lease.id || lease.siblings.length > 0) return null; // the other replicas go on without it
  if (lease.attempt >= ATTEMPTS_MAX) return null;
  const parsed = parseDocumentOf(round.services.crypto, "order", document.envelope);
  if (!parsed.ok || parsed.document.payload.expiresAt <= round.at || lease.judges !== null) return null; // another referee is another order
  const customer = await round.get("party", lease.customer);
  if (!customer || customer.data.suspended) return null;
  const purse = { purse: lease.purse, allowances: lease.allowances, floors: [] };
  const previous = { version: order.version, row: order.data };
  const { triedServers, mayWaitUntil } = order.data;
  const bound = await bind(round, parsed.document, purse, { attempt: lease.attempt + 1, triedServers, previous });
  if (bound.ok || bound.code !== "busy" || mayWaitUntil === undefined || mayWaitUntil <= round.at) return bound;
  return planned(round, {
    id: `waiting/${document.id}/${lease.attempt}`,
    filed: [],
    ...waitFor(round, parsed.document, previous, mayWaitUntil),
  });
}

/** A lease that has lapsed, with what becomes of its order, in one change: whoever sees the one sees the other. */
export async function movedOn(round: Round, lease: LeaseRow, lapsed: Planned): Promise<Outcome> {
  const next = await placeAgain(round, lease);
  return next?.ok ? { ok: true, ...alongside(lapsed, next) } : lapsed;
}
