/**
 * Orders: find a server, freeze price and limits in a purchase order, hold the money, reserve the capacity: one change, all or nothing.
 * Who controls the inputs: the customer (the order), owners (their offers). Nothing here is paid; it is only held.
 */
import {
  RESOURCE_KEYS,
  capacityKey,
  checkConditions,
  drawReplicas,
  explainExclusions,
  isDeterministic,
  match,
  moneyKey,
  quote,
  replicaBudget,
  stakeToLockNanos,
  type Candidate,
  type Quote,
  type Resources,
} from "@xenoservers/market";
import { parseDocumentOf, refuse, rootAccountOf, toHex, utf8, type Json, type Refusal, type SignedDocument } from "@xenoservers/protocol";
import type { Change, LeaseRow, OrderRow, WireTransfer } from "../store/store.ts";
import { ALLOWANCE_FLOOR, allowanceTransfers, feeBasisPoints, purseFor, type Purse } from "./accounts.ts";
import type { PartyCaller } from "./caller.ts";
import { issue, planned, transfer, type Outcome, type Planned } from "./outcome.ts";
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

/** What does not go together in one order. */
function orderProblem({ driver, assurance, terms, egress, egressMibMax }: SignedDocument<"order">["payload"]): { path: string; why: string } | null {
  const vm = driver === "qemu";
  const proved = assurance === "deterministic-vm";
  if (vm ? assurance === "replicated" : proved) return { path: "assurance", why: `the driver ${driver} does not give ${assurance}` };
  if (vm && !proved && terms === "on-result")
    return { path: "terms", why: "a virtual machine is paid by interval unless it is deterministic: nothing proves its result" };
  if ((egress !== "none" || egressMibMax > 0) && (!vm || proved)) return { path: "egress", why: "only an ordinary virtual machine has a network" };
  return null;
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
    accel: order.accel,
    egress: typeof order.egress === "string" ? order.egress : ("names" as const),
    assurance: order.assurance,
    terms: order.terms,
    conditions: order.conditions,
    on: order.on,
    maxPriceNanosPerHour: order.maxPriceNanosPerHour === null ? null : BigInt(order.maxPriceNanosPerHour),
    durationMs: order.durationMsMax,
  };
  const { replicas } = order;
  if (replicas > 1 && (order.terms !== "on-result" || !isDeterministic(order.assurance) || order.segment))
    return refuse("bad_payload", { path: "replicas", why: "replicas need the terms on-result and a deterministic job" });
  const wrong = orderProblem(order);
  if (wrong) return refuse("bad_payload", wrong);
  const { matches, excluded } = match(desk.index.all(), wish, at);
  const fresh = matches.filter(({ server }) => !triedServers.includes(server));
  const staked = order.assurance === "isolated" ? fresh : await withStake(round, order, fresh);
  const drawn = replicas === 1 ? staked.slice(0, 1) : (drawReplicas(staked, replicas, drawOf(round, document.id)) ?? []);
  if (drawn.length === 0 && fresh.length > staked.length) excluded["stake"] = fresh.length - staked.length;
  if (drawn.length === 0 && staked.length > 0) excluded["owners"] = staked.length;
  if (drawn.length === 0) {
    const owners = replicas === 1 ? "" : `; ${replicas} replicas take ${replicas} owners, each with a server that fits and stake for the order's worst cost`;
    return refuse("no_match", { excluded, explanation: explainExclusions(excluded) + owners });
  }
  const fee = await feeBasisPoints(round);
  const slots: Slot[] = [];
  for (const [slot, candidate] of drawn.entries()) {
    const [offer, server] = await Promise.all([desk.store.document(candidate.offerId), round.get("server", candidate.server)]);
    if (!offer || server?.data.offerId !== candidate.offerId) return refuse("capacity_taken", { server: candidate.server });
    const made = purchaseOrderFor(round, document, candidate, offer.envelope, server.data.key, fee, slot, attempt);
    if (!made.ok) return made;
    slots.push(made);
  }
  const leases = slots.map(({ po }) => po.id);
  const plans = slots.map((made) =>
    bindTo(
      round,
      document,
      purse,
      made,
      { attempt, triedServers, previous },
      leases.filter((id) => id !== made.po.id),
    ),
  );
  return together(plans, slots);
}

/** What nobody outside can foresee: by the broker's secret, fixed by the order. */
function drawOf({ desk }: Round, orderId: string): (i: number) => number {
  return (i) => Number.parseInt(toHex(desk.crypto.hmacSha256(desk.keys.secret, utf8(`draw ${orderId} ${i}`))).slice(0, 12), 16) / 2 ** 48;
}

/** The slots of one order are bound in one change: all or none. */
function together(plans: readonly Planned[], slots: readonly Slot[]): Planned {
  const [first, ...others] = plans as [Planned, ...Planned[]];
  if (others.length === 0) return first;
  const all = <K extends "puts" | "floors" | "transfers" | "documents" | "events">(key: K): Change[K] =>
    plans.flatMap(({ change }) => change[key] as never[]) as Change[K];
  const replicas = slots.map(({ po }) => ({ lease: po.id, purchaseOrder: po.envelope as unknown as Json }));
  const change: Change = {
    ...first.change,
    answer: { ...(first.change.answer as object), replicas },
    puts: all("puts"),
    floors: all("floors"),
    transfers: all("transfers"),
    documents: all("documents"),
    events: all("events"),
  };
  return { ok: true, change, effects: plans.flatMap(({ effects }) => effects) };
}

function quoteOn(order: SignedDocument<"order">["payload"], { price }: Candidate): Quote {
  return quote({
    terms: order.terms,
    resources: order.resources,
    price,
    budgetNanos: replicaBudget(BigInt(order.budgetNanos), order.replicas),
    durationMsMax: order.durationMsMax,
    fuelMax: BigInt(order.fuelMax),
    egressMibMax: order.egressMibMax,
  });
}

/** Those whose owners have the stake that this order locks; the books decide again when it is locked. */
async function withStake(round: Round, order: SignedDocument<"order">["payload"], candidates: readonly Candidate[]): Promise<Candidate[]> {
  const keyOf = ({ owner }: Candidate): string => moneyKey(rootAccountOf(owner), "staked");
  const books = await round.desk.store.balances([...new Set(candidates.map(keyOf))]);
  return candidates.filter((candidate) => (books.get(keyOf(candidate)) ?? 0n) >= stakeToLockNanos(order.assurance, quoteOn(order, candidate).holdNanos));
}

interface Slot {
  ok: true;
  slot: number;
  candidate: Candidate;
  po: SignedDocument<"purchase-order">;
}

/** Freezes everything that the lease will be settled by. */
function purchaseOrderFor(
  round: Round,
  document: SignedDocument<"order">,
  candidate: Candidate,
  offer: SignedDocument["envelope"],
  serverKey: string,
  fee: number,
  slot: number,
  attempt: number,
): Slot | Refusal {
  const { desk, at } = round;
  const order = document.payload;
  const terms = quoteOn(order, candidate);
  if (terms.durationMsMax < 1 || terms.fuelMax < 1n)
    return refuse("insufficient_funds", { budgetNanos: order.budgetNanos, why: "the budget does not pay for any work of this server" });
  const { timings } = desk.config;
  const price = {
    vcpuNanosPerSecond: candidate.price.vcpuNanosPerSecond.toString(),
    memoryGibNanosPerSecond: candidate.price.memoryGibNanosPerSecond.toString(),
    diskGibNanosPerSecond: candidate.price.diskGibNanosPerSecond.toString(),
    gigaFuelNanos: candidate.price.gigaFuelNanos.toString(),
    egressGibNanos: candidate.price.egressGibNanos.toString(),
  };
  const acceptBy = at + timings.acceptWithinMs;
  const po = issue(round, "purchase-order", {
    order: document.envelope,
    offer,
    orderId: document.id,
    offerId: candidate.offerId,
    slot,
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
    egressMibMax: order.egressMibMax,
    timeBound: terms.timeBound,
    fuelBound: terms.fuelBound,
    holdNanos: terms.holdNanos.toString(),
    cancellationNanos: terms.cancellationNanos.toString(),
    feeBasisPoints: fee,
    stakeNanos: stakeToLockNanos(order.assurance, terms.holdNanos).toString(),
    timings,
    issuedAt: at,
    acceptBy,
    startBy: acceptBy + timings.startWithinMs,
  });
  return { ok: true, slot, candidate, po };
}

/** An order's row; of one with replicas, each slot has its own. */
export const orderRowId = (orderId: string, slot: number): string => (slot === 0 ? orderId : `${orderId}/${slot}`);

function bindTo(
  round: Round,
  document: SignedDocument<"order">,
  purse: Purse,
  { slot, candidate, po }: Slot,
  { attempt, triedServers, previous }: Attempt,
  siblings: string[],
): Planned {
  const order = document.payload;
  const { order: _order, offer: _offer, origin: _origin, seen: _seen, slot: _slot, acceptBy, ...frozen } = po.payload;
  const lease: LeaseRow = {
    ...frozen,
    id: po.id,
    state: "bound",
    label: order.label,
    jobHash: order.jobHash,
    segment: order.segment,
    slot,
    siblings,
    commitment: null,
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
  const id = orderRowId(document.id, slot);
  const row: OrderRow = { id, customer: order.party, lease: po.id, attempt, triedServers: [...triedServers, candidate.server], deadlineAt: null };
  const [hold, owner] = [BigInt(frozen.holdNanos), rootAccountOf(candidate.owner)];
  return planned(round, {
    id: previous ? `attempt/${document.id}/${attempt}` : document.id,
    filed: [
      ...(previous || slot > 0 ? [] : [{ document, lease: po.id, parties: [order.party, candidate.owner] }]),
      { document: po, lease: po.id, parties: [order.party, candidate.owner] },
    ],
    answer: { order: document.id, lease: po.id, purchaseOrder: po.envelope },
    uniques: previous ? [] : [`${order.party}/${order.clientId}`],
    puts: [
      { kind: "order", id, expect: previous?.version ?? 0, data: row },
      { kind: "lease", id: po.id, expect: 0, data: lease },
    ],
    floors: [ALLOWANCE_FLOOR, ...purse.floors],
    transfers: [
      transfer(`${po.id}/hold`, moneyKey(purse.purse, "available"), moneyKey(purse.purse, "held"), hold),
      ...allowanceTransfers(`${po.id}/allowance`, purse.allowances, hold, "use"),
      transfer(`${po.id}/stake`, moneyKey(owner, "staked"), moneyKey(owner, "locked"), BigInt(frozen.stakeNanos)),
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
  if (!order || !document || order.data.lease !== lease.id || lease.siblings.length > 0) return null; // the other replicas go on without it
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
