/**
 * A folded lease: what its facts so far make of it. Plain data, so that it can be stored and compared; `step.ts` is the only maker of the
 * next one.
 *
 *   purchase-order ──▶ bound ──acceptance──▶ accepted ──opening──▶ open
 *                        bound ──stop, or closing not-accepted──▶ lapsed
 *
 *   open ─┬─ result, paid without bytes or delivered ──────────────────────────────▶ ended
 *         ├─ result, without its delivery ──▶ delivering ── delivery ──────────────▶ ended
 *         ├─ stop ──▶ stopping ── result, as from open; late: by the log's times
 *         ├─ move ──▶ open, at another server of its owner
 *         └─ commitment ──▶ committed ──reveal──▶ revealed ── result, as from open
 *
 *   ended ──closing──▶ closed ──settlement──▶ settled ──nobody moves──────────────▶ final
 *   open, stopping, revealed, delivering ── closing, for silence ──▶ closed
 *   settled ── objection, trace-request ──▶ disputed ── ruling, nobody moves, no referee is left ──▶ final
 *   disputed ── verdict ──▶ convicted ── review of an appeal, nobody moves ──▶ final
 */
import type { Driver } from "../drivers.ts";
import type { Resources } from "../resources.ts";
import type { Assurance } from "../assurance.ts";
import type { Egress, OrderContent, WirePrice } from "./facts.ts";
import type { Blame, EndReason, PaymentTerms } from "./terms.ts";
import type { LeaseTimings } from "./timings.ts";

export const LEASE_STATES = [
  "bound",
  "accepted",
  "open",
  "stopping",
  "committed",
  "revealed",
  "delivering",
  "ended",
  "closed",
  "settled",
  "disputed",
  "convicted",
  "final",
  "lapsed",
] as const;
export type LeaseState = (typeof LEASE_STATES)[number];

/** A time in which no broker was there to hear. */
export interface Gap {
  from: number;
  to: number;
}

export interface LastClaim {
  id: string;
  incarnation: number;
  sequence: number;
  usedMs: number;
  egressBytes: number;
}

interface LeaseResult {
  id: string;
  at: number;
  reason: EndReason;
  exitCode: number | null;
  usedMs: number;
  egressBytes: number;
  fuel: string;
  engine: string;
}

/** Of its order, what chose the server. */
export type Placing = Pick<OrderContent, "accel" | "conditions" | "on">;

/** What the settlement fixed: money in decimal nanos. */
export interface LeaseEnd {
  reason: EndReason;
  blame: Blame;
  at: number;
  billableMs: number;
  billableFuel: string;
  billableEgressBytes: number;
  dueNanos: string;
  feeNanos: string;
  ownerNanos: string;
  refundNanos: string;
  windowEndsAt: number;
  /** Whether the result was drawn for an audit; null: it cannot be. */
  audited: boolean | null;
  /** The document of the round that it was drawn in; null: none was open. */
  auditRound: string | null;
}

/** How the money of a settled lease went in the end. */
export interface FinalMoney {
  ownerNanos: string;
  feeNanos: string;
  /** Back to the customer, of what was paid. */
  backNanos: string;
  /** Whose deposit goes where: of a doubt or an objection. */
  deposits: readonly { from: "customer" | "owner"; to: "customer" | "owner"; nanos: string; of: "trace" | "objection" }[];
  /** `locked`: that is open while its owner may appeal. `wronged`: who was convicted by it. */
  stakeTo: "owner" | "customer" | "locked" | "wronged";
  /** The party that a wrong judgement has cost its pay. */
  wronged: string | null;
  judgement: "none" | "right" | "wrong";
  why: string;
}

export interface Lease {
  /** The id of its purchase order. */
  id: string;
  state: LeaseState;
  orderId: string;
  offerId: string;
  slot: number;
  attempt: number;
  replicas: number;
  customer: string;
  account: string;
  label: string;
  owner: string;
  server: string;
  serverKey: string;
  jobHash: string;
  segment: boolean;
  /** The lease whose result it is to judge, as its referee. */
  judges: string | null;
  driver: Driver;
  /** Of the offer: what runs alike runs alike under this one. */
  engine: string;
  assurance: Assurance;
  egress: Egress;
  /** Its server is asked to fetch an image from an address. */
  fetches: boolean;
  resources: Resources;
  price: WirePrice;
  terms: PaymentTerms;
  durationMsMax: number;
  /** Of the offer: no extension goes beyond it. */
  maxLeaseMs: number;
  fuelMax: string;
  egressMibMax: number;
  timeBound: "time-limit" | "budget";
  fuelBound: "fuel-limit" | "budget";
  holdNanos: string;
  cancellationNanos: string;
  stakeNanos: string;
  auditSalt: string;
  /** How often its result is audited by its owner's record, in parts per million; 0: never. */
  auditPpm: number;
  /** Of the hold, what is kept for a referee's run. */
  auditReserveNanos: string;
  feeBasisPoints: number;
  timings: LeaseTimings;
  issuedAt: number;
  acceptBy: number;
  startBy: number;
  gaps: readonly Gap[];
  /** The log time of its last fact: time never goes back within a lease. */
  toldAt: number;
  acceptance: string | null;
  openedAt: number | null;
  openingId: string | null;
  /** When the server was last heard by way of a fact that moves its deadline. */
  heardAt: number;
  /** How long in all its server was silent while it should have been heard, since the opening. */
  silentMs: number;
  lastClaim: LastClaim | null;
  /** A claim that the broker has not receipted. */
  openClaim: LastClaim | null;
  lastAmendment: string | null;
  /** The document by which it came to the server that it is at; absent: it is where it began. */
  lastMove?: string;
  /** How often it has moved; absent: never, or when nobody counted yet. */
  moves?: number;
  /** When it came there, and what had been used by then; absent: its meter runs from its opening. */
  metered?: { at: number; usedMs: number };
  /** What a server must offer that is to have it from another; absent: it never moves, as a lease that was bound before any could. */
  placing?: Placing;
  stop: { reason: "customer-stop" | "owner-stop"; at: number } | null;
  commitment: { result: string; revealedAt: number | null } | null;
  result: LeaseResult | null;
  delivery: { by: "customer" | "broker"; at: number } | null;
  closing: { id: string; reason: EndReason; at: number } | null;
  /** The id of its settlement: the seed by which its referees are drawn. */
  settlement: string | null;
  end: LeaseEnd | null;
  objection: { by: "customer" | "owner"; at: number; depositNanos: string; expectedDueNanos: string } | null;
  /** A doubted result. `step`: its server was asked to run the job again with checkpoints; null: a referee runs all of it. */
  trace: {
    request: string;
    step: string | null;
    at: number;
    depositNanos: string;
    document: string | null;
    answeredAt: number | null;
  } | null;
  /** Whose turn it is to judge. */
  draw: { id: string; round: number; referee: string; candidates: readonly string[]; at: number } | null;
  verdict: { id: string; round: number; at: number } | null;
  final: FinalMoney | null;
}

const PLACED = ["bound", "accepted", "open", "stopping", "committed", "revealed"] as const satisfies readonly LeaseState[];
const AFTER_RESULT = ["delivering", "ended", "closed"] as const satisfies readonly LeaseState[];

/** Whether money of its customer is held for it. */
export const isLive = (state: LeaseState): boolean => holdsCapacity(state) || AFTER_RESULT.some((live) => live === state);

/** Whether it still takes room on its server. */
export const holdsCapacity = (state: LeaseState): boolean => PLACED.some((placed) => placed === state);

/** States in which money is held, for a store that looks for them. */
export const LIVE_STATES: readonly LeaseState[] = LEASE_STATES.filter(isLive);
