/**
 * The schema of every signed document, one per kind. Amounts are decimal strings of nanos; times are ms since 1970 in broker time unless
 * the name says otherwise. Every payload names the market's origin, and the last of the log that its signer has seen: epoch,
 * size and root. `table.ts` says what each kind counts for.
 */
import {
  ASSURANCES,
  BLAMES,
  DRIVER_NAMES,
  END_REASONS,
  PPM,
  REFEREES_MAX,
  REPLICAS_MAX,
  RESULT_REASONS,
  SCOPES,
} from "@xenoservers/market";
import * as z from "zod/mini";
import { madeWhenAsked } from "../made-when-asked.ts";
import { zHandover, zMove, zTakeover } from "./moving.ts";
import { zOffer, zOffer1, zOffer2 } from "./offer.ts";
import {
  TRACE_ROOTS_MAX,
  base,
  hex,
  zAccount,
  zBytes,
  zCondition,
  zEgress,
  zEnvelope,
  zEpoch,
  zFeeBasisPoints,
  zFuel,
  zId,
  zKey,
  zLogState,
  zMarketKeys,
  zMs,
  zName,
  zNanos,
  zParty,
  zPrice,
  zResources,
  zServer,
  zTerms,
  zText,
  zTime,
  zTimings,
  zWord,
} from "./parts.ts";

/** What a lease is called by its customer; empty: nothing. */
const zLeaseLabel = z.string().check(z.maxLength(64), z.regex(/^[^\p{C}]*$/u, "must not hold control characters"));

/** `segment`: the referee ran that part of the job alone; null: all of it. */
const dispute1 = { ...base, lease: zId, party: zParty, refereeLease: zId, segment: z.nullable(z.int().check(z.gte(1))) };

export const SCHEMAS = madeWhenAsked({
  party: () => z.strictObject({ ...base, party: zParty, name: zName, rootKey: zKey, recoveryKey: z.nullable(zKey) }),
  "key-grant": () =>
    z.strictObject({
      ...base,
      party: zParty,
      key: zKey,
      role: z.enum(["device", "ci", "enrol", "server"]),
      label: zName,
      /** What it may be used for; never more than its role. */
      scopes: z.array(z.enum(SCOPES)).check(z.minLength(1), z.maxLength(SCOPES.length)),
      /** The only account it acts in; null: all of the party's. */
      account: z.nullable(zAccount),
      /** The only label of leases it acts on; null: any. */
      leaseLabel: z.nullable(zLeaseLabel),
      maxSpendPerDayNanos: z.nullable(zNanos),
      expiresAt: z.nullable(zTime),
    }),
  "key-revoke": () => z.strictObject({ ...base, party: zParty, key: zKey, reason: zText }),
  "key-rotate": () => z.strictObject({ ...base, party: zParty, newRootKey: zKey, newRecoveryKey: z.nullable(zKey) }),
  login: () => z.strictObject({ ...base, party: zParty, challenge: hex(32) }),
  account: () =>
    z.strictObject({ ...base, party: zParty, parent: zAccount, name: zName, limitNanos: z.nullable(zNanos), clientId: hex(16) }),
  "account-limit": () => z.strictObject({ ...base, party: zParty, account: zAccount, limitNanos: z.nullable(zNanos), clientId: hex(16) }),
  payout: () => z.strictObject({ ...base, party: zParty, amountNanos: zNanos, destination: zText, clientId: hex(16) }),
  stake: () =>
    z.strictObject({ ...base, party: zParty, amountNanos: zNanos, direction: z.enum(["deposit", "withdraw"]), clientId: hex(16) }),
  credit: () =>
    z.strictObject({
      ...base,
      party: zParty,
      amountNanos: zNanos,
      source: z.enum(["operator", "card", "bank"]),
      reference: zText,
      clientId: hex(16),
    }),
  suspension: () => z.strictObject({ ...base, party: zParty, suspended: z.boolean(), reason: zText, clientId: hex(16) }),
  /** What the broker keeps of what customers pay; it holds from `effectiveAt` on, and not before it stands in the log. */
  fee: () => z.strictObject({ ...base, basisPoints: zFeeBasisPoints, effectiveAt: zTime, clientId: hex(16) }),
  ruling: () => z.strictObject({ ...base, lease: zId, ownerNanos: zNanos, reason: zText }),
  offer: () => zOffer,
  "offer-withdrawal": () => z.strictObject({ ...base, owner: zParty, server: zServer, sequence: z.int().check(z.gte(1)) }),
  batch: () => z.strictObject({ ...base, party: zParty, account: zAccount, budgetNanos: zNanos, expiresAt: zTime, clientId: hex(16) }),
  "batch-close": () => z.strictObject({ ...base, party: zParty, batch: zId }),
  order: () =>
    z.strictObject({
      ...base,
      party: zParty,
      account: zAccount,
      batch: z.nullable(zId),
      clientId: hex(16),
      jobHash: zId,
      /** The job hash is that of one segment of a job (ids.ts): only then may its result be a state. */
      segment: z.boolean(),
      /** The lease whose result it is to judge, on the referee that was drawn; null: none. */
      judges: z.nullable(zId),
      driver: z.enum(DRIVER_NAMES),
      /** Of a virtual machine: only by hardware, or emulated too. */
      accel: z.enum(["kvm", "any"]),
      egress: zEgress,
      /** The most it may send and receive; held for, like the longest time. */
      egressMibMax: z.int().check(z.gte(0), z.lte(1_073_741_824)),
      resources: zResources,
      conditions: z.array(zCondition).check(z.maxLength(32)),
      assurance: z.enum(ASSURANCES),
      terms: zTerms,
      on: z.enum(["mine", "market"]),
      maxPriceNanosPerHour: z.nullable(zNanos),
      durationMsMax: z.int().check(z.gte(1), z.lte(31_536_000_000)),
      /** The same as in the job's spec. */
      fuelMax: zFuel,
      budgetNanos: zNanos,
      /** On servers of so many owners, each within its share of the budget. */
      replicas: z.int().check(z.gte(1), z.lte(REPLICAS_MAX)),
      expiresAt: zTime,
      label: zLeaseLabel,
      /** The most of what it pays that may go to the broker. */
      feeBasisPointsMax: zFeeBasisPoints,
      timings: zTimings,
      channelKey: zKey,
      /** Random: what its results are drawn for audits by, with the secret of the round in which each was logged. */
      auditSalt: hex(32),
      /** It ends at the server where it began; left out, its owner may move it to another server of its own. */
      stays: z.exactOptional(z.literal(true)),
    }),
  /** An order that waits for room is given up. */
  "order-withdrawal": () => z.strictObject({ ...base, party: zParty, order: zId, reason: zText }),
  "purchase-order": () =>
    z.strictObject({
      ...base,
      order: zEnvelope,
      offer: zEnvelope,
      /** The operator's announcement of the fee in force; null: there is none. */
      fee: z.nullable(zEnvelope),
      orderId: zId,
      offerId: zId,
      slot: z.int().check(z.gte(0)),
      attempt: z.int().check(z.gte(1)),
      customer: zParty,
      account: zAccount,
      owner: zParty,
      server: zServer,
      serverKey: zKey,
      resources: zResources,
      price: zPrice,
      terms: zTerms,
      durationMsMax: zMs,
      fuelMax: zFuel,
      egressMibMax: z.int().check(z.gte(0)),
      timeBound: z.enum(["time-limit", "budget"]),
      fuelBound: z.enum(["fuel-limit", "budget"]),
      holdNanos: zNanos,
      cancellationNanos: zNanos,
      feeBasisPoints: zFeeBasisPoints,
      stakeNanos: zNanos,
      /** Right audits of the owner so far, by the broker's word. */
      auditedBefore: z.int().check(z.gte(0)),
      /** How often such a result is audited by that record, in parts per million; 0: never. */
      auditPpm: z.int().check(z.gte(0), z.lte(PPM)),
      /** Of the hold, what is kept for a referee's run. */
      auditReserveNanos: zNanos,
      timings: zTimings,
      issuedAt: zTime,
      acceptBy: zTime,
      startBy: zTime,
    }),
  acceptance: () => z.strictObject({ ...base, lease: zId, server: zServer }),
  /** One for each slot of an order, over all attempts. */
  opening: () => z.strictObject({ ...base, lease: zId, order: zId, slot: z.int().check(z.gte(0)), acceptance: zId, at: zTime }),
  /** A replica has its result: the id of the result document, whose nonce hides it until it is shown. */
  commitment: () => z.strictObject({ ...base, lease: zId, server: zServer, incarnation: z.int().check(z.gte(1)), result: zId }),
  /** Every replica of the order has committed, or has ended without: results may be shown. */
  reveal: () => z.strictObject({ ...base, lease: zId, order: zId, at: zTime }),
  claim: () =>
    z.strictObject({
      ...base,
      lease: zId,
      incarnation: z.int().check(z.gte(1)),
      sequence: z.int().check(z.gte(1)),
      usedMs: zMs,
      egressBytes: zBytes,
      previous: zId,
    }),
  "claim-receipt": () =>
    z.strictObject({
      ...base,
      lease: zId,
      claim: zId,
      sequence: z.int().check(z.gte(1)),
      usedMs: zMs,
      egressBytes: zBytes,
      at: zTime,
    }),
  stop: () => z.strictObject({ ...base, lease: zId, party: zParty, reason: zText }),
  extension: () => z.strictObject({ ...base, lease: zId, party: zParty, durationMsMax: zMs, previous: zId }),
  amendment: () =>
    z.strictObject({ ...base, lease: zId, extension: zEnvelope, durationMsMax: zMs, holdNanos: zNanos, previous: zId, at: zTime }),
  handover: () => zHandover,
  takeover: () => zTakeover,
  move: () => zMove,
  closing: () => z.strictObject({ ...base, lease: zId, reason: z.enum(END_REASONS), at: zTime, lastClaim: z.nullable(zId) }),
  result: () =>
    z.strictObject({
      ...base,
      lease: zId,
      server: zServer,
      jobHash: zId,
      engine: zWord,
      /** As in claims: a server that lost its disk does not know what it has said before, and says so. */
      incarnation: z.int().check(z.gte(1)),
      reason: z.enum(RESULT_REASONS),
      exitCode: z.nullable(z.int().check(z.gte(0), z.lte(255))),
      usedMs: zMs,
      egressBytes: zBytes,
      lastClaim: zId,
      /**
       * What the job used, exact and the same on every server; a stop from outside counts up to the guest's last call, return or finished
       * loop.
       */
      fuel: zFuel,
      /** The limit under which it ran: its purchase order's. */
      fuelMax: zFuel,
      /** Hash of the guest's memory at its end; null when it was stopped from outside or did not start. */
      memoryHash: z.nullable(zId),
      outputDigest: zId,
      stdoutDigest: zId,
      stderrDigest: zId,
      /** Of one segment of a job: the root of the state, or of the job's end, that it came to. */
      stateRoot: z.nullable(zId),
      /** Random: nobody can guess the document's id from what the job came to. */
      nonce: hex(32),
      detail: zText,
    }),
  /** Of a customer: the result's bytes are here. Of the broker: they lie sealed with it, under the digest `sealed`. */
  delivery: () => z.strictObject({ ...base, lease: zId, result: zId, sealed: z.nullable(zId) }),
  settlement: () =>
    z.strictObject({
      ...base,
      lease: zId,
      result: z.nullable(zId),
      closing: zId,
      reason: z.enum(END_REASONS),
      blame: z.enum(BLAMES),
      billableMs: zMs,
      billableFuel: zFuel,
      billableEgressBytes: zBytes,
      dueNanos: zNanos,
      feeNanos: zNanos,
      ownerNanos: zNanos,
      refundNanos: zNanos,
      windowEndsAt: zTime,
      /** Whether the result was drawn for an audit; null: it cannot be. */
      audited: z.nullable(z.boolean()),
      /** The document of the round that it was drawn in; null: none was open. */
      auditRound: z.nullable(zId),
      at: zTime,
    }),
  /** The secret by which results are drawn for audits from now on is fixed. `until`: when it is to be shown, as planned. */
  "audit-round": () =>
    z.strictObject({
      ...base,
      /** Of the log: a restored broker counts its rounds on from its backup. */
      epoch: zEpoch,
      round: z.int().check(z.gte(1)),
      /** SHA-256 of the secret. */
      commitment: zId,
      from: zTime,
      until: zTime,
      previous: z.nullable(zId),
    }),
  /** `to`: when the round ended; what was logged later was drawn in another. */
  "audit-reveal": () => z.strictObject({ ...base, auditRound: zId, round: z.int().check(z.gte(1)), secret: hex(32), to: zTime }),
  objection: () => z.strictObject({ ...base, lease: zId, party: zParty, expectedDueNanos: zNanos, reason: zText }),
  /** A time in which no broker was there to hear: every deadline that ran in it is longer by as much. */
  gap: () => z.strictObject({ ...base, from: zTime, to: zTime }),
  referee: () => z.strictObject({ ...base, server: zServer, active: z.boolean(), clientId: hex(16) }),
  witness: () =>
    z.strictObject({
      ...base,
      name: z.string().check(z.regex(/^[a-z0-9.-]{1,64}$/)),
      key: zKey,
      active: z.boolean(),
      clientId: hex(16),
    }),
  /**
   * The customer doubts a result. `step`: its server is to run the job again with breakpoints so far apart and sign their roots; null: a
   * referee runs all of it.
   */
  "trace-request": () => z.strictObject({ ...base, lease: zId, party: zParty, step: z.nullable(zFuel) }),
  trace: () =>
    z.strictObject({
      ...base,
      lease: zId,
      server: zServer,
      request: zId,
      jobHash: zId,
      engine: zWord,
      step: zFuel,
      /**
       * Of the state at each breakpoint: the first at which so many steps of fuel were used. Empty when the job has no build with
       * breakpoints.
       */
      roots: z.array(zId).check(z.maxLength(TRACE_ROOTS_MAX)),
      detail: zText,
    }),
  dispute: () =>
    z.strictObject({
      ...dispute1,
      /** What the referee signed, by which anyone judges; null: it is not said. */ ruling: z.nullable(zEnvelope),
    }),
  /** Who judges in this round; null: nobody is left. It follows from the settlement's id and the candidates (market's referees.ts). */
  draw: () =>
    z.strictObject({
      ...base,
      lease: zId,
      round: z.int().check(z.gte(1)),
      referee: z.nullable(zServer),
      /** Who were referees when the lease was settled, without the parties' own; sorted. */
      candidates: z.array(zServer).check(z.maxLength(REFEREES_MAX)),
      /** Whose turn is over, or did not come, since the last draw, and why. */
      passed: z.array(z.strictObject({ referee: zServer, why: zText })).check(z.maxLength(REFEREES_MAX)),
      at: zTime,
    }),
  verdict: () =>
    z.strictObject({
      ...base,
      lease: zId,
      server: zServer,
      owner: zParty,
      referee: zServer,
      /** In which the referee was drawn; null: its result contradicts that of a judging lease. */
      round: z.nullable(z.int().check(z.gte(1))),
      /** What the server signed. */
      result: zEnvelope,
      /** What the referee signed for the same job. */
      ruling: zEnvelope,
      /** The server's roots, where the referee ran one segment; null where it ran the whole job. */
      trace: z.nullable(zEnvelope),
      segment: z.nullable(z.int().check(z.gte(1))),
      why: zText,
      refundNanos: zNanos,
      slashedNanos: zNanos,
      /** Who gets the stake, where the verdict stands. */
      slashedTo: zParty,
      at: zTime,
    }),
  /** The convicted owner brings what a second referee came to. */
  appeal: () => z.strictObject({ ...base, lease: zId, party: zParty, refereeLease: zId }),
  /** What the appeal has come to. */
  review: () =>
    z.strictObject({
      ...base,
      lease: zId,
      server: zServer,
      owner: zParty,
      referee: zServer,
      round: z.int().check(z.gte(1)),
      verdict: zId,
      /** What the second referee signed for the same job, or the same segment of it. */
      ruling: zEnvelope,
      overturned: z.boolean(),
      why: zText,
      at: zTime,
    }),
  /** The broker's keys, in its operator's name: who knows the operator's key knows them all. The highest sequence is in force. */
  "market-keys": () => z.strictObject({ ...base, keys: zMarketKeys, sequence: z.int().check(z.gte(1)) }),
  /** The first leaf of a run of the log. */
  epoch: () =>
    z.strictObject({
      ...base,
      epoch: zEpoch,
      /** What it follows, as far as that was restored: nothing later of it binds. Null: it is the market's first. */
      previous: z.nullable(zLogState),
      reason: zText,
      at: zTime,
    }),
});

export type Kind = keyof typeof SCHEMAS;
type Payloads = { [K in Kind]: z.infer<(typeof SCHEMAS)[K]> };
export type Payload<K extends Kind> = Payloads[K];

/** Earlier versions of kinds, which are read as their kind's payload of now and signed no more: leases outlive upgrades. */
export const EARLIER: { readonly [K in Kind]?: Readonly<Record<number, z.ZodMiniType<Payload<K>>>> } = {
  offer: { 1: zOffer1, 2: zOffer2 },
  dispute: {
    1: z.pipe(
      z.strictObject(dispute1),
      z.transform((dispute) => ({ ...dispute, ruling: null })),
    ),
  },
};
