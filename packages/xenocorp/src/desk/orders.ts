/**
 * Orders: find a server, freeze price and limits in a purchase order, hold the money, reserve the capacity: one change, all or nothing.
 * Who controls the inputs: the customer (the order), owners (their offers). Nothing here is paid; it is only held.
 */
import {
  RESOURCE_KEYS,
  capacityKey,
  checkConditions,
  explainExclusions,
  match,
  moneyKey,
  quote,
  stakeToLockNanos,
  type Candidate,
  type Quote,
  type Resources,
} from "@xenoservers/market";
import { parseDocumentOf, refuse, rootAccountOf, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import type { LeaseRow, OrderRow, WireTransfer } from "../store/store.ts";
import { ALLOWANCE_FLOOR, allowanceTransfers, feeBasisPoints, purseFor, type Purse } from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import { issue, planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

export async function placeOrder(round: Round, document: SignedDocument<"order">, caller: PartyCaller): Promise<Outcome> {
  const order = document.payload;
  const { data: party } = caller.party;
  if (party.suspended) return refuse("suspended", { reason: party.suspensionReason });
  if (order.expiresAt <= round.at) return refuse("expired", { expiresAt: order.expiresAt });
  const bad = checkConditions(order.conditions);
  if (bad) return refuse("bad_condition", { condition: bad.condition, why: bad.why });
  const purse = order.batch === null ? await purseFor(round, caller, order.account) : await batchPurse(round, order.batch, order.party, order.account);
  if (!purse.ok) return purse;
  return bind(round, document, purse, { attempt: 1, triedServers: [], previous: null });
}

/** Leases of a batch draw on its one hold; its allowances were used up when it was opened. */
async function batchPurse(round: Round, id: string, party: string, account: string): Promise<({ ok: true } & Purse) | Refusal> {
  const batch = await round.get("batch", id);
  if (!batch || batch.data.party !== party || batch.data.account !== account) return refuse("not_found", { batch: id });
  return batch.data.open ? { ok: true, purse: id, allowances: [], floors: [] } : refuse("wrong_state", { state: "closed" });
}

export interface Attempt {
  attempt: number;
  triedServers: readonly string[];
  /** The order's row and what an earlier attempt gives back in the same change. */
  previous: { version: number; row: OrderRow } | null;
}

export async function bind(round: Round, document: SignedDocument<"order">, purse: Purse, { attempt, triedServers, previous }: Attempt): Promise<Outcome> {
  const { desk, at } = round;
  const order = document.payload;
  const wish = {
    customer: order.party,
    resources: order.resources,
    driver: order.driver,
    assurance: order.assurance,
    terms: order.terms,
    conditions: order.conditions,
    on: order.on,
    maxPriceNanosPerHour: order.maxPriceNanosPerHour === null ? null : BigInt(order.maxPriceNanosPerHour),
    durationMs: order.durationMsMax,
  };
  const { matches, excluded } = match(desk.index.all(), wish, at);
  const fresh = matches.filter(({ server }) => !triedServers.includes(server));
  const staked = order.assurance === "isolated" ? fresh : await withStake(round, order, fresh);
  const candidate = staked[0];
  if (!candidate && fresh.length > 0) excluded["stake"] = fresh.length;
  if (!candidate) return refuse("no_match", { excluded, explanation: explainExclusions(excluded) });
  const [offer, server, fee] = await Promise.all([desk.store.document(candidate.offerId), round.get("server", candidate.server), feeBasisPoints(round)]);
  if (!offer || server?.data.offerId !== candidate.offerId) return refuse("capacity_taken", { server: candidate.server });
  return bindTo(round, document, purse, candidate, offer.envelope, server.data.key, fee, { attempt, triedServers, previous });
}

function quoteOn(order: SignedDocument<"order">["payload"], { price }: Candidate): Quote {
  return quote({
    terms: order.terms,
    resources: order.resources,
    price,
    budgetNanos: BigInt(order.budgetNanos),
    durationMsMax: order.durationMsMax,
    fuelMax: BigInt(order.fuelMax),
  });
}

/** Those whose owners have the stake that this order locks; the books decide again when it is locked. */
async function withStake(round: Round, order: SignedDocument<"order">["payload"], candidates: readonly Candidate[]): Promise<Candidate[]> {
  const keyOf = ({ owner }: Candidate): string => moneyKey(rootAccountOf(owner), "staked");
  const books = await round.desk.store.balances([...new Set(candidates.map(keyOf))]);
  return candidates.filter((candidate) => (books.get(keyOf(candidate)) ?? 0n) >= stakeToLockNanos(order.assurance, quoteOn(order, candidate).holdNanos));
}

function bindTo(
  round: Round,
  document: SignedDocument<"order">,
  purse: Purse,
  candidate: Candidate,
  offer: SignedDocument["envelope"],
  serverKey: string,
  fee: number,
  { attempt, triedServers, previous }: Attempt,
): Outcome {
  const { desk, at } = round;
  const order = document.payload;
  const terms = quoteOn(order, candidate);
  if (terms.durationMsMax < 1 || terms.fuelMax < 1n)
    return refuse("insufficient_funds", { budgetNanos: order.budgetNanos, why: "the budget does not pay for any work of this server" });
  const stakeNanos = stakeToLockNanos(order.assurance, terms.holdNanos);
  const { timings } = desk.config;
  const price = {
    vcpuNanosPerSecond: candidate.price.vcpuNanosPerSecond.toString(),
    memoryGibNanosPerSecond: candidate.price.memoryGibNanosPerSecond.toString(),
    diskGibNanosPerSecond: candidate.price.diskGibNanosPerSecond.toString(),
    gigaFuelNanos: candidate.price.gigaFuelNanos.toString(),
  };
  const acceptBy = at + timings.acceptWithinMs;
  const startBy = acceptBy + timings.startWithinMs;
  const frozen = {
    orderId: document.id,
    offerId: candidate.offerId,
    attempt,
    customer: order.party,
    account: order.account,
    owner: candidate.owner,
    server: candidate.server,
    serverKey,
    resources: order.resources,
    price,
    terms: order.terms,
    durationMsMax: terms.durationMsMax,
    fuelMax: terms.fuelMax.toString(),
    timeBound: terms.timeBound,
    fuelBound: terms.fuelBound,
    holdNanos: terms.holdNanos.toString(),
    cancellationNanos: terms.cancellationNanos.toString(),
    feeBasisPoints: fee,
    stakeNanos: stakeNanos.toString(),
    timings,
    issuedAt: at,
    startBy,
  };
  const po = issue(round, "purchase-order", { ...frozen, order: document.envelope, offer, slot: 0, acceptBy });
  const lease: LeaseRow = {
    ...frozen,
    id: po.id,
    state: "bound",
    label: order.label,
    jobHash: order.jobHash,
    segment: order.segment,
    purse: purse.purse,
    allowances: purse.allowances,
    openedAt: null,
    openingId: null,
    lastClaim: null,
    stopReason: null,
    stopAt: null,
    lastAmendment: null,
    end: null,
    trace: null,
    deadlineAt: acceptBy,
  };
  const row: OrderRow = { id: document.id, customer: order.party, lease: po.id, attempt, triedServers: [...triedServers, candidate.server], deadlineAt: null };
  return planned(round, {
    id: previous ? `attempt/${document.id}/${attempt}` : document.id,
    filed: [
      ...(previous ? [] : [{ document, lease: po.id, parties: [order.party, candidate.owner] }]),
      { document: po, lease: po.id, parties: [order.party, candidate.owner] },
    ],
    answer: { order: document.id, lease: po.id, purchaseOrder: po.envelope },
    uniques: previous ? [] : [`${order.party}/${order.clientId}`],
    puts: [
      { kind: "order", id: document.id, expect: previous?.version ?? 0, data: row },
      { kind: "lease", id: po.id, expect: 0, data: lease },
    ],
    floors: [ALLOWANCE_FLOOR, ...purse.floors],
    transfers: [
      transfer(`${po.id}/hold`, moneyKey(purse.purse, "available"), moneyKey(purse.purse, "held"), terms.holdNanos),
      ...allowanceTransfers(`${po.id}/allowance`, purse.allowances, terms.holdNanos, "use"),
      transfer(`${po.id}/stake`, moneyKey(rootAccountOf(candidate.owner), "staked"), moneyKey(rootAccountOf(candidate.owner), "locked"), stakeNanos),
      ...capacityTransfers(po.id, candidate.server, order.resources, "reserve"),
    ],
    events: [
      { party: order.party, kind: "lease-bound", lease: po.id, data: { order: document.id, server: candidate.server, attempt, holdNanos: frozen.holdNanos } },
      { party: candidate.owner, kind: "lease-bound", lease: po.id, data: { server: candidate.server, attempt } },
    ],
    effects: [
      { kind: "index-free", server: candidate.server, resources: order.resources, sign: -1 },
      { kind: "to-server", server: candidate.server, documents: [po.envelope] },
    ],
  });
}

export function capacityTransfers(lease: string, server: string, resources: Resources, direction: "reserve" | "release"): (WireTransfer | null)[] {
  return RESOURCE_KEYS.map((key) => {
    const free = capacityKey(server, key, "free");
    const leased = capacityKey(server, key, "leased");
    const amount = BigInt(resources[key]);
    return direction === "reserve" ? transfer(`${lease}/reserve/${key}`, free, leased, amount) : transfer(`${lease}/release/${key}`, leased, free, amount);
  });
}

/**
 * After a server missed acceptBy: the same order on another server, with a higher attempt. Refused where nothing else fits; then the order
 * ends with its money back.
 */
export async function placeAgain(round: Round, lease: LeaseRow): Promise<Outcome | null> {
  const order = await round.get("order", lease.orderId);
  const document = await round.desk.store.document(lease.orderId);
  if (!order || !document || order.data.lease !== lease.id) return null;
  const parsed = parseDocumentOf(round.desk.crypto, "order", document.envelope);
  if (!parsed.ok || parsed.document.payload.expiresAt <= round.at) return null;
  const customer = await round.get("party", lease.customer);
  if (!customer || customer.data.suspended) return null;
  const purse = { purse: lease.purse, allowances: lease.allowances, floors: [] };
  return bind(round, parsed.document, purse, {
    attempt: lease.attempt + 1,
    triedServers: order.data.triedServers,
    previous: { version: order.version, row: order.data },
  });
}
