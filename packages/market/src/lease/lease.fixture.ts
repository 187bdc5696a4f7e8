/** For tests: a lease of each state, told fact by fact as its parties would, and a right fact of each kind for it. */
import { EMPTY_BYTES_DIGEST } from "../digests.ts";
import { drawReferee } from "../referees.ts";
import { invariant } from "../invariant.ts";
import { ROLE_SCOPES, type KeyRole, type LeaseRole, type Speaker } from "../roles.ts";
import { auditPpmOf, quoteOn } from "./binding.ts";
import { extensionNanos } from "./changes.ts";
import { deadlineOf, dueAt, silenceReason } from "./deadlines.ts";
import type { Contents, Fact, FactKind, FactOf, OfferContent, OrderContent, PurchaseOrderContent, ResultContent } from "./facts.ts";
import type { Lease, LeaseState } from "./lease.ts";
import type { LeaseRefusal } from "./refusal.ts";
import { endOf } from "./settling.ts";
import { movedBy } from "./moving.ts";
import { step } from "./step.ts";
import { lastClaimOf } from "./use.ts";
import { quietEnd } from "./disputing.ts";
import { DEFAULT_TIMINGS } from "./timings.ts";
import { stakeToLockNanos } from "../assurance.ts";
import { NOT_AUDITED, isDrawnFor } from "../audit.ts";

export const ISSUED_AT = 1_000_000;
export const ORIGIN = "test/market";
/** In the order of the log. */
export const REFEREES = ["r1", "r2", "r3"] as const;
export const DIGEST = "ab".repeat(32);

export const partySpeaker = (party: string, role: KeyRole, over: Partial<Extract<Speaker, { by: "party" }>> = {}): Speaker => ({
  ...{ by: "party", party, key: `${party}/${role}`, role, scopes: ROLE_SCOPES[role], account: null, label: null },
  ...over,
});

export const CUSTOMER = partySpeaker("customer", "root");
export const OWNER = partySpeaker("owner", "root");
export const SERVER = partySpeaker("owner", "server");
/** Of the same owner. */
export const OTHER_SERVER = partySpeaker("owner", "server", { key: "owner/other-server" });
export const STRANGER = partySpeaker("stranger", "root");
export const ORDERS: Speaker = { by: "broker", key: "orders" };
export const RECEIPTS: Speaker = { by: "broker", key: "receipts" };
export const OPERATOR: Speaker = { by: "operator" };

export const SPEAKERS: Readonly<Record<LeaseRole, Speaker>> = {
  customer: CUSTOMER,
  owner: OWNER,
  server: SERVER,
  operator: OPERATOR,
  "broker-orders": ORDERS,
  "broker-receipts": RECEIPTS,
};

export const orderOf = (over: Partial<OrderContent> = {}): OrderContent => ({
  ...{
    origin: ORIGIN,
    party: "customer",
    account: "a",
    label: "",
    jobHash: DIGEST,
    segment: false,
    judges: null,
    driver: "wasm",
    accel: "any",
  },
  ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 512, diskMib: 1024 }, conditions: [], assurance: "isolated" },
  ...{
    terms: "on-result",
    on: "market",
    maxPriceNanosPerHour: null,
    durationMsMax: 3_600_000,
    fuelMax: "1000000000000",
    budgetNanos: "100000000",
  },
  ...{ replicas: 1, expiresAt: ISSUED_AT + 60_000, feeBasisPointsMax: 500, timings: DEFAULT_TIMINGS, auditSalt: DIGEST },
  ...over,
});

export const offerOf = (over: Partial<OfferContent> = {}): OfferContent => ({
  ...{
    origin: ORIGIN,
    owner: "owner",
    server: "server",
    validUntil: ISSUED_AT + 60_000,
    resources: { vcpu: 4, memoryMib: 8192, diskMib: 10_000 },
  },
  ...{ drivers: ["wasm", "qemu"], assurances: ["isolated", "replicated", "deterministic-vm"], labels: { region: "eu" } },
  price: {
    ...{
      vcpuNanosPerSecond: "10000",
      memoryGibNanosPerSecond: "1000",
      diskGibNanosPerSecond: "10",
      gigaFuelNanos: "600",
      egressGibNanos: "0",
    },
  },
  ...{
    maxLeaseMs: 86_400_000,
    cpuScore: 100,
    sandbox: "strong",
    accel: "kvm",
    vmScore: 100,
    limits: "cgroup2",
    holds: {},
    egress: "public",
    fetches: true,
  },
  ...{ vmEngine: "e", allowedParties: [], engine: "e", feeBasisPointsMax: 500, timings: DEFAULT_TIMINGS },
  ...over,
});

export function purchaseOrderOf(order: OrderContent, offer: OfferContent, over: Partial<PurchaseOrderContent> = {}): PurchaseOrderContent {
  const { slot = 0 } = over;
  const quoted = quoteOn(order, offer, slot);
  const { holdNanos, workNanos, fuelMax, cancellationNanos, durationMsMax, timeBound, fuelBound } = quoted;
  const acceptBy = ISSUED_AT + order.timings.acceptWithinMs;
  return {
    ...{
      origin: ORIGIN,
      orderId: "order",
      offerId: "offer",
      slot: 0,
      attempt: 1,
      customer: order.party,
      account: order.account,
      owner: offer.owner,
    },
    ...{
      server: offer.server,
      serverKey: "owner/server",
      resources: order.resources,
      price: offer.price,
      terms: order.terms,
      durationMsMax,
    },
    ...{ fuelMax: fuelMax.toString(), egressMibMax: order.egressMibMax, timeBound, fuelBound, holdNanos: holdNanos.toString() },
    ...{
      cancellationNanos: cancellationNanos.toString(),
      feeBasisPoints: 0,
      stakeNanos: stakeToLockNanos(order.assurance, workNanos).toString(),
    },
    ...{ auditedBefore: 0, auditPpm: auditPpmOf(order, 0), auditReserveNanos: quoted.auditReserveNanos.toString() },
    ...{ timings: order.timings, issuedAt: ISSUED_AT, acceptBy, startBy: acceptBy + order.timings.startWithinMs },
    ...over,
  };
}

export interface Terms {
  order?: Partial<OrderContent>;
  offer?: Partial<OfferContent>;
  po?: Partial<PurchaseOrderContent>;
  fee?: Contents["purchase-order"]["fee"];
  orderSigner?: Speaker;
  offerSigner?: Speaker;
}

/** The fact that begins a lease of these terms. */
export function beginning({
  order,
  offer,
  po,
  fee = null,
  orderSigner = CUSTOMER,
  offerSigner = SERVER,
}: Terms = {}): FactOf<"purchase-order"> {
  const wanted = orderOf(order);
  const offered = offerOf(offer);
  const content: Contents["purchase-order"] = {
    payload: purchaseOrderOf(wanted, offered, { feeBasisPoints: fee?.basisPoints ?? 0, ...po }),
    order: { id: "order", signer: orderSigner, payload: wanted },
    offer: { id: "offer", signer: offerSigner, payload: offered },
    ...{ fee, serverOfKey: "server" },
  };
  return { kind: "purchase-order", id: "lease", signer: ORDERS, at: ISSUED_AT, content };
}

type LaterKind = Exclude<FactKind, "purchase-order">;

const resultOf = (lease: Lease): ResultContent => ({
  ...{
    lease: lease.id,
    server: lease.server,
    jobHash: lease.jobHash,
    engine: "e",
    reason: "completed",
    exitCode: 0,
    usedMs: lastClaimOf(lease).usedMs,
  },
  ...{
    egressBytes: lastClaimOf(lease).egressBytes,
    lastClaim: lastClaimOf(lease).id,
    fuelMax: lease.fuelMax,
    fuel: "5000000000",
    memoryHash: DIGEST,
    outputDigest: DIGEST,
  },
  ...{ stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST, stateRoot: null },
});

/** What the other server of its owner offers and signs, for a lease that moves there. */
function takeoverOf(lease: Lease): Contents["takeover"] {
  const payload = { lease: lease.id, previous: movedBy(lease) ?? lease.id, server: lease.server, to: "other-server" };
  const offer = offerOf({ server: "other-server", validUntil: lease.toldAt + 60_000, drivers: ["wasm", "qemu", "xen"] });
  return {
    ...{ lease: lease.id, server: "other-server", serverOfKey: "other-server" },
    handover: { id: "handover", signer: { ...SERVER }, payload: { ...payload, lastClaim: lastClaimOf(lease).id } },
    offer: { id: "other-offer", signer: OTHER_SERVER, payload: offer },
  };
}

/** A right fact of each kind: what this lease would take if it is in a state that hears it. */
const RIGHT: { [K in LaterKind]: (lease: Lease, at: number) => Contents[K] } = {
  acceptance: ({ id, server }) => ({ lease: id, server }),
  opening: ({ id, orderId, slot, acceptance }, at) => ({ lease: id, order: orderId, slot, acceptance: acceptance ?? "acceptance", at }),
  claim: (lease) => {
    const { id: previous, incarnation, sequence, usedMs, egressBytes } = lastClaimOf(lease);
    return { lease: lease.id, incarnation, sequence: sequence + 1, usedMs: usedMs + 100, egressBytes, previous };
  },
  "claim-receipt": ({ id, openClaim }, at) => {
    const { id: claim, sequence, usedMs, egressBytes } = openClaim ?? { id: "claim", sequence: 1, usedMs: 0, egressBytes: 0 };
    return { lease: id, claim, sequence, usedMs, egressBytes, at };
  },
  stop: ({ id, customer }) => ({ lease: id, party: customer }),
  extension: ({ id, durationMsMax, lastAmendment }) => ({
    lease: id,
    durationMsMax: durationMsMax + 60_000,
    previous: lastAmendment ?? id,
  }),
  amendment: (lease) => {
    const payload = { lease: lease.id, durationMsMax: lease.durationMsMax + 60_000, previous: lease.lastAmendment ?? lease.id };
    const holdNanos = (BigInt(lease.holdNanos) + extensionNanos(lease, payload.durationMsMax)).toString();
    return { ...payload, holdNanos, extension: { id: "extension", signer: CUSTOMER, payload } };
  },
  takeover: takeoverOf,
  move: (lease, at) => ({
    ...{ lease: lease.id, previous: movedBy(lease) ?? lease.id, at },
    takeover: { id: "takeover", signer: OTHER_SERVER, payload: takeoverOf(lease) },
  }),
  commitment: ({ id, server }) => ({ lease: id, server, result: "result" }),
  reveal: ({ id, orderId }, at) => ({ lease: id, order: orderId, at }),
  result: resultOf,
  delivery: ({ id, result }) => ({ lease: id, result: result?.id ?? "result", sealed: null }),
  closing: (lease, at) => ({
    ...{ lease: lease.id, at, lastClaim: lease.lastClaim?.id ?? null },
    reason: (lease.state === "ended" ? lease.result?.reason : silenceReason(lease)) ?? "completed",
  }),
  settlement: (lease, at) => {
    const closing = lease.closing ?? { id: "closing", reason: "completed", at };
    const draw = isDrawnFor(lease, closing.reason) ? { audited: true, auditRound: "round" } : NOT_AUDITED;
    return { lease: lease.id, result: lease.result?.id ?? null, closing: closing.id, ...endOf(lease, closing, draw) };
  },
  gap: (_, at) => ({ from: at - 20, to: at - 10 }),
  objection: ({ id }) => ({ lease: id, expectedDueNanos: "1" }),
  ruling: ({ id }) => ({ lease: id, ownerNanos: "0" }),
  "trace-request": ({ id }) => ({ lease: id, step: "1000000000" }),
  trace: ({ id, server, trace, jobHash, result }) => ({
    ...{ lease: id, server, request: trace?.request ?? "request", jobHash, engine: result?.engine ?? "e", step: trace?.step ?? "1" },
  }),
  dispute: ({ id }) => ({ lease: id, finding: "differs", whole: true }),
  draw: ({ id, draw, settlement }) => {
    const [candidates, round] = [[...REFEREES], (draw?.round ?? 0) + 1];
    return {
      lease: id,
      round,
      candidates,
      passed: draw?.referee ? [{ referee: draw.referee }] : [],
      referee: drawReferee(settlement ?? "0", candidates, round),
    };
  },
  appeal: ({ id }) => ({ lease: id }),
  review: ({ id, draw }) => ({ lease: id, finding: "agrees", round: draw?.round ?? 1, referee: draw?.referee ?? "nobody" }),
  verdict: ({ id, customer, draw, end, stakeNanos }) => ({
    ...{
      lease: id,
      finding: "differs",
      round: draw?.round ?? 1,
      referee: draw?.referee ?? "nobody",
      slashedTo: customer,
      refundNanos: (BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0)).toString(),
      slashedNanos: stakeNanos,
    },
  }),
};

const SIGNERS: Readonly<Record<LaterKind, Speaker>> = {
  ...{
    acceptance: SERVER,
    opening: ORDERS,
    claim: SERVER,
    "claim-receipt": RECEIPTS,
    stop: CUSTOMER,
    extension: CUSTOMER,
    amendment: ORDERS,
  },
  ...{ takeover: OTHER_SERVER, move: ORDERS },
  ...{ commitment: SERVER, reveal: ORDERS, result: SERVER, delivery: CUSTOMER, closing: RECEIPTS, settlement: RECEIPTS, gap: RECEIPTS },
  ...{ objection: CUSTOMER, ruling: OPERATOR, "trace-request": CUSTOMER, trace: SERVER, dispute: CUSTOMER, verdict: RECEIPTS },
  ...{ draw: RECEIPTS, appeal: OWNER, review: RECEIPTS },
};

interface Over<K extends LaterKind> {
  at?: number;
  signer?: Speaker;
  id?: string;
  content?: Partial<Contents[K]>;
}

/** A fact for this lease, right but for what `over` says. */
export function factFor<K extends LaterKind>(
  lease: Lease,
  kind: K,
  { at = lease.toldAt + 1, signer = SIGNERS[kind], id = kind === "settlement" ? DIGEST : kind, content }: Over<K> = {},
): FactOf<K> {
  return { kind, id, signer, at, content: { ...RIGHT[kind](lease, at), ...content } };
}

const asFact = <K extends LaterKind>(fact: FactOf<K>): Fact => fact as unknown as Fact;

export const tell = <K extends LaterKind>(lease: Lease, kind: K, over: Over<K> = {}) => step(lease, asFact(factFor(lease, kind, over)));

/** The lease after a fact that it must take. */
export function told<K extends LaterKind>(lease: Lease, kind: K, over: Over<K> = {}): Lease {
  const next = tell(lease, kind, over);
  invariant(next.ok, `a lease that is ${lease.state} does not take this ${kind}: ${next.ok ? "" : next.why}`);
  return next.lease;
}

export function refusalOf<K extends LaterKind>(lease: Lease, kind: K, over: Over<K> = {}): LeaseRefusal | null {
  const next = tell(lease, kind, over);
  return next.ok ? null : next;
}

export function bound(terms: Terms = {}): Lease {
  const next = step(null, beginning(terms));
  invariant(next.ok, next.ok ? "" : next.why);
  return next.lease;
}

export const accepted = (terms: Terms = {}): Lease => told(bound(terms), "acceptance");
export const opened = (terms: Terms = {}): Lease => told(accepted(terms), "opening");
export const claimed = (lease: Lease, content: Partial<Contents["claim"]> = {}, at = lease.toldAt + 10_000): Lease => {
  const id = `claim ${lastClaimOf(lease).sequence + 1}`;
  return told(told(lease, "claim", { at, id, content }), "claim-receipt");
};
export const delivering = (terms: Terms = {}): Lease => told(opened(terms), "result", { at: ISSUED_AT + 2_000 });
export const ended = (terms: Terms = {}): Lease => told(delivering(terms), "delivery");
export const settled = (terms: Terms = {}): Lease => told(told(ended(terms), "closing"), "settlement");

/** Doubted as a whole: the first referee is drawn, and its result may be brought. */
export const drawn = (lease: Lease): Lease => told(told(lease, "trace-request", { content: { step: null } }), "draw");
export const judgeable = (terms: Terms = {}): Lease => drawn(settled(terms));

/** Convicted, and a second referee is drawn. */
export const appealed = (terms: Terms = {}): Lease => told(told(judgeable(terms), "verdict"), "draw");

/** Of a machine, which can move. */
export const MACHINE: Terms = { order: { driver: "qemu", terms: "by-interval" } };
export const REPLICAS: Terms = { order: { replicas: 2, assurance: "replicated" } };

/** A lease in each state. */
export const IN_STATE: Readonly<Record<LeaseState, () => Lease>> = {
  bound: () => bound(),
  accepted: () => accepted(),
  open: () => opened(),
  stopping: () => told(opened(), "stop"),
  committed: () => told(opened(REPLICAS), "commitment"),
  revealed: () => told(told(opened(REPLICAS), "commitment"), "reveal"),
  delivering: () => delivering(),
  ended: () => ended(),
  closed: () => told(ended(), "closing"),
  settled: () => settled(),
  disputed: () => judgeable(),
  convicted: () => told(judgeable(), "verdict"),
  final: () => {
    const lease = settled();
    const end = quietEnd(lease, dueAt(lease));
    invariant(end !== null, "a window ends");
    return end;
  },
  lapsed: () => told(bound(), "stop"),
};

/** Closes in silence and settles: what the passing of its deadline makes of an open lease. */
export function silent(lease: Lease): Lease {
  const at = deadlineOf(lease) ?? lease.toldAt;
  const closing = told(lease, "closing", { at });
  return closing.state === "lapsed" ? closing : told(closing, "settlement");
}
