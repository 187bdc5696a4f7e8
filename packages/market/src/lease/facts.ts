/**
 * The facts of a lease: what its documents say, who signed each, and when the broker's log took it (PROTOCOL section 4). A lease is what
 * these make of it and nothing else. Contents are the documents' payloads as far as the rules read them: amounts are decimal strings of
 * nanos, times ms since 1970 in log time, ids lowercase hex. Who controls the inputs: whoever signed each; `signer` and `at` were found
 * by whoever verified the signatures.
 */
import type { Condition } from "../condition.ts";
import type { Driver } from "../drivers.ts";
import type { Holds } from "../holds.ts";
import type { PriceVector, Resources } from "../resources.ts";
import type { Speaker } from "../roles.ts";
import type { Assurance } from "../assurance.ts";
import type { LeaseTimings } from "./timings.ts";
import type { Blame, EndReason, PaymentTerms } from "./terms.ts";

export type WirePrice = { [K in keyof PriceVector]: string };
export type Egress = "none" | "public" | readonly string[];

export interface OrderContent {
  origin: string;
  party: string;
  account: string;
  label: string;
  jobHash: string;
  segment: boolean;
  /** The lease whose result it judges; null: none. */
  judges: string | null;
  driver: Driver;
  accel: "kvm" | "any";
  egress: Egress;
  egressMibMax: number;
  resources: Resources;
  conditions: readonly Condition[];
  assurance: Assurance;
  terms: PaymentTerms;
  on: "mine" | "market";
  maxPriceNanosPerHour: string | null;
  durationMsMax: number;
  fuelMax: string;
  budgetNanos: string;
  replicas: number;
  expiresAt: number;
  /** The most of what it pays that may go to the broker. */
  feeBasisPointsMax: number;
  timings: LeaseTimings;
  /** Random: what its results are drawn for audits by, with the secret of the round. */
  auditSalt: string;
  /** It ends where it began: its server never moves it. */
  stays?: true;
}

export interface OfferContent {
  origin: string;
  owner: string;
  server: string;
  validUntil: number;
  resources: Resources;
  drivers: readonly Driver[];
  assurances: readonly Assurance[];
  labels: Readonly<Record<string, string>>;
  price: WirePrice;
  maxLeaseMs: number;
  cpuScore: number;
  sandbox: string;
  accel: string;
  vmScore: number;
  limits: string;
  holds: Holds;
  egress: "none" | "names" | "public";
  fetches: boolean;
  vmEngine: string;
  allowedParties: readonly string[];
  engine: string;
  /** The most of its pay that its owner leaves to the broker. */
  feeBasisPointsMax: number;
  timings: LeaseTimings;
}

export interface PurchaseOrderContent {
  origin: string;
  orderId: string;
  offerId: string;
  slot: number;
  attempt: number;
  customer: string;
  account: string;
  owner: string;
  server: string;
  serverKey: string;
  resources: Resources;
  price: WirePrice;
  terms: PaymentTerms;
  durationMsMax: number;
  fuelMax: string;
  egressMibMax: number;
  timeBound: "time-limit" | "budget";
  fuelBound: "fuel-limit" | "budget";
  holdNanos: string;
  cancellationNanos: string;
  feeBasisPoints: number;
  stakeNanos: string;
  /** Right audits of the owner so far: the broker's word. */
  auditedBefore: number;
  /** How often such a result is audited by that record, in parts per million; 0: never. */
  auditPpm: number;
  /** Of the hold, what is kept for a referee's run. */
  auditReserveNanos: string;
  timings: LeaseTimings;
  issuedAt: number;
  acceptBy: number;
  startBy: number;
}

/** The operator's announcement of what the broker keeps; null: it keeps nothing. */
type FeeContent = { basisPoints: number; effectiveAt: number } | null;

export interface ResultContent {
  lease: string;
  server: string;
  jobHash: string;
  engine: string;
  reason: EndReason;
  exitCode: number | null;
  usedMs: number;
  egressBytes: number;
  lastClaim: string;
  fuel: string;
  /** Under which limit it ran. */
  fuelMax: string;
  memoryHash: string | null;
  outputDigest: string;
  stdoutDigest: string;
  stderrDigest: string;
  stateRoot: string | null;
}

export interface SettlementContent {
  lease: string;
  result: string | null;
  closing: string;
  reason: EndReason;
  blame: Blame;
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

/**
 * What a comparison of two signed results came to: the own finding of whoever folds, never a party's word; `unknown` where it lacks one
 * of them.
 */
export type Finding = "differs" | "agrees" | "not-comparable" | "unknown";

/** By the server that had the lease: whom it gives it to, and what it had used by then. */
interface HandoverContent {
  lease: string;
  /** The last move, or the acceptance: each handover counts once. */
  previous: string;
  server: string;
  to: string;
  /** The last claim that the broker has receipted, or the opening. */
  lastClaim: string;
}

interface TakeoverContent {
  lease: string;
  server: string;
  handover: { id: string; signer: Speaker; payload: HandoverContent };
  /** Of the server that takes it, as it stands. */
  offer: { id: string; signer: Speaker; payload: OfferContent };
  /** The server that this document's key is the key of. */
  serverOfKey: string;
}

/** What each kind of fact says. */
export interface Contents {
  "purchase-order": {
    payload: PurchaseOrderContent;
    order: { id: string; signer: Speaker; payload: OrderContent };
    offer: { id: string; signer: Speaker; payload: OfferContent };
    fee: FeeContent;
    /** The server that the offer's key is the key of. */
    serverOfKey: string;
  };
  acceptance: { lease: string; server: string };
  opening: { lease: string; order: string; slot: number; acceptance: string; at: number };
  claim: { lease: string; incarnation: number; sequence: number; usedMs: number; egressBytes: number; previous: string };
  "claim-receipt": { lease: string; claim: string; sequence: number; usedMs: number; egressBytes: number; at: number };
  stop: { lease: string; party: string };
  extension: { lease: string; durationMsMax: number; previous: string };
  amendment: {
    lease: string;
    extension: { id: string; signer: Speaker; payload: Contents["extension"] };
    durationMsMax: number;
    holdNanos: string;
    previous: string;
  };
  /** By the server that is to have it from now on. */
  takeover: TakeoverContent;
  /** The broker's word that the lease is another server's from now on. */
  move: { lease: string; takeover: { id: string; signer: Speaker; payload: TakeoverContent }; previous: string; at: number };
  commitment: { lease: string; server: string; result: string };
  reveal: { lease: string; order: string; at: number };
  result: ResultContent;
  /** Of a customer: it has the bytes. Of the broker: they lie sealed with it, under the digest `sealed`. */
  delivery: { lease: string; result: string; sealed: string | null };
  closing: { lease: string; reason: EndReason; at: number; lastClaim: string | null };
  settlement: SettlementContent;
  gap: { from: number; to: number };
  objection: { lease: string; expectedDueNanos: string };
  ruling: { lease: string; ownerNanos: string };
  "trace-request": { lease: string; step: string | null };
  trace: { lease: string; server: string; request: string; jobHash: string; engine: string; step: string };
  dispute: { lease: string; finding: Finding; whole: boolean };
  draw: {
    lease: string;
    round: number;
    referee: string | null;
    candidates: readonly string[];
    /** Whose turn is over, or did not come, since the last draw. */
    passed: readonly { referee: string }[];
  };
  verdict: {
    lease: string;
    finding: Finding;
    /** Of a judging lease, which a later referee's result contradicts: null, nobody was drawn for it. */
    round: number | null;
    referee: string;
    refundNanos: string;
    slashedNanos: string;
    /** Who gets the stake. */
    slashedTo: string;
  };
  appeal: { lease: string };
  /** What a second referee came to: `agrees` with the convicted server, or `differs` from it too. */
  review: { lease: string; finding: Finding; round: number; referee: string };
}

export type FactKind = keyof Contents;
export interface FactOf<K extends FactKind> {
  kind: K;
  /** The document's id. */
  id: string;
  signer: Speaker;
  /** When the broker's log took it. */
  at: number;
  content: Contents[K];
}
export type Fact = { [K in FactKind]: FactOf<K> }[FactKind];

const ALL_KINDS = {
  "purchase-order": 0,
  acceptance: 0,
  opening: 0,
  claim: 0,
  "claim-receipt": 0,
  stop: 0,
  extension: 0,
  amendment: 0,
  takeover: 0,
  move: 0,
  commitment: 0,
  reveal: 0,
  result: 0,
  delivery: 0,
  closing: 0,
  settlement: 0,
  gap: 0,
  objection: 0,
  ruling: 0,
  "trace-request": 0,
  trace: 0,
  dispute: 0,
  draw: 0,
  verdict: 0,
  appeal: 0,
  review: 0,
} satisfies Record<FactKind, 0>;
export const isFactKind = (kind: string): kind is FactKind => Object.hasOwn(ALL_KINDS, kind);
export const FACT_KINDS = Object.keys(ALL_KINDS).filter(isFactKind);
