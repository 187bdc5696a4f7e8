/**
 * The schema of every signed document, one per kind and version, and who may sign it. Amounts are decimal strings of nanos; times are ms since
 * 1970 in broker time unless the name says otherwise; ids and keys are lowercase hex. Every payload names the market's origin, and the last
 * log size and root its signer has seen.
 */
import { ASSURANCES, DRIVERS, END_REASONS, OPERATORS, PAYMENT_TERMS, REPLICAS_MAX, RESULT_REASONS, parseNanos } from "@xenoservers/market";
import { z } from "zod";

export const ENVELOPE_PAYLOAD_BYTES_MAX = 65_536;

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `must be ${bytes} bytes of lowercase hex`);
export const zId = hex(32);
export const zKey = hex(32);
export const zParty = z.string().regex(/^p_[0-9a-f]{40}$/, "must be a party id");
export const zServer = z.string().regex(/^s_[0-9a-f]{40}$/, "must be a server id");
export const zAccount = z.string().regex(/^a_[0-9a-f]{40}$/, "must be an account id");
export const zNanos = z.string().refine((text) => parseNanos(text) !== null, "must be a decimal integer of nanos");
const FUEL_TEXT = /^(0|[1-9][0-9]{0,18})$/;
/** Fuel as a decimal integer; at most 2^62, so that it fits the engine's counter. */
export const zFuel = z.string().refine((text) => FUEL_TEXT.test(text) && BigInt(text) <= 1n << 62n, "must be a decimal integer of fuel");
/** Checkpoints of one trace: the referee's part of a disputed job is one in so many. */
export const TRACE_ROOTS_MAX = 256;
const zTime = z.int().min(0);
const zMs = z.int().min(0).max(31_536_000_000);
const zName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^\p{C}]+$/u, "must not hold control characters");
const zText = z
  .string()
  .max(500)
  .regex(/^[^\p{Cc}]*$/u, "must not hold control characters");
const zLabels = z
  .record(z.string().regex(/^[a-z0-9-]{1,32}$/), z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/))
  .refine((labels) => Object.keys(labels).length <= 16, "at most 16 labels");
const zSeen = z.strictObject({ size: z.int().min(0), root: zId }).nullable();
const zOrigin = z.string().min(1).max(200);

const base = { origin: zOrigin, seen: zSeen };

export const zResources = z.strictObject({
  vcpu: z.int().min(1).max(1024),
  memoryMib: z.int().min(1).max(16_777_216),
  diskMib: z.int().min(0).max(1_073_741_824),
});
export const zPrice = z.strictObject({
  vcpuNanosPerSecond: zNanos,
  memoryGibNanosPerSecond: zNanos,
  diskGibNanosPerSecond: zNanos,
  gigaFuelNanos: zNanos,
  egressGibNanos: zNanos,
});
/** Where a guest may connect to: nowhere, anywhere public, or these names. */
export const zEgress = z.union([
  z.enum(["none", "public"]),
  z
    .array(z.string().regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/, "must be a host name in lower case"))
    .min(1)
    .max(64),
]);
export type Egress = z.infer<typeof zEgress>;
const zBytes = z.int().min(0);
export const zCondition = z.strictObject({ key: z.string().max(64), op: z.enum(OPERATORS), value: z.string().max(64) });
export const zTimings = z.strictObject({ acceptWithinMs: zMs, startWithinMs: zMs, claimIntervalMs: zMs, graceMs: zMs, disputeWindowMs: zMs });
export const zTerms = z.enum(PAYMENT_TERMS);
export const zEnvelope = z.strictObject({
  payloadType: z.string().max(100),
  payload: z.string().max(Math.ceil((ENVELOPE_PAYLOAD_BYTES_MAX * 4) / 3) + 4),
  signatures: z.tuple([z.strictObject({ keyid: zKey, sig: z.string().length(88) })]),
});
export type Envelope = z.infer<typeof zEnvelope>;

export const KEY_ROLES = ["root", "device", "ci", "enrol", "server"] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

const schemas = {
  party: z.strictObject({ ...base, party: zParty, name: zName, rootKey: zKey, recoveryKey: zKey.nullable() }),
  "key-grant": z.strictObject({
    ...base,
    party: zParty,
    key: zKey,
    role: z.enum(["device", "ci", "enrol", "server"]),
    label: zName,
    account: zAccount.nullable(),
    maxSpendPerDayNanos: zNanos.nullable(),
    expiresAt: zTime.nullable(),
  }),
  "key-revoke": z.strictObject({ ...base, party: zParty, key: zKey, reason: zText }),
  "key-rotate": z.strictObject({ ...base, party: zParty, newRootKey: zKey, newRecoveryKey: zKey.nullable() }),
  login: z.strictObject({ ...base, party: zParty, challenge: hex(32) }),
  account: z.strictObject({ ...base, party: zParty, parent: zAccount, name: zName, limitNanos: zNanos.nullable(), clientId: hex(16) }),
  "account-limit": z.strictObject({ ...base, party: zParty, account: zAccount, limitNanos: zNanos.nullable(), clientId: hex(16) }),
  payout: z.strictObject({ ...base, party: zParty, amountNanos: zNanos, destination: zText, clientId: hex(16) }),
  stake: z.strictObject({ ...base, party: zParty, amountNanos: zNanos, direction: z.enum(["deposit", "withdraw"]), clientId: hex(16) }),
  credit: z.strictObject({ ...base, party: zParty, amountNanos: zNanos, source: z.enum(["operator", "card", "bank"]), reference: zText, clientId: hex(16) }),
  suspension: z.strictObject({ ...base, party: zParty, suspended: z.boolean(), reason: zText, clientId: hex(16) }),
  fee: z.strictObject({ ...base, basisPoints: z.int().min(0).max(5_000), clientId: hex(16) }),
  ruling: z.strictObject({ ...base, lease: zId, ownerNanos: zNanos, reason: zText }),
  offer: z.strictObject({
    ...base,
    owner: zParty,
    server: zServer,
    sequence: z.int().min(1),
    validUntil: zTime,
    resources: zResources,
    drivers: z.array(z.enum(DRIVERS)).min(1).max(4),
    assurances: z.array(z.enum(ASSURANCES)).min(1).max(4),
    labels: zLabels,
    price: zPrice,
    maxLeaseMs: zMs,
    cpuScore: z.int().min(0).max(1_000_000),
    sandbox: z.enum(["strong", "weak"]),
    /** How virtual machines run: by hardware, emulated in software, or not at all. */
    accel: z.enum(["kvm", "emulated", "none"]),
    /** Of one core as a virtual machine's guest sees it, in the unit of cpuScore; 0 where none can run. */
    vmScore: z.int().min(0).max(1_000_000),
    /** What holds a virtual machine to its share: control groups (version 2 or 1), or only its process's own limits. */
    limits: z.enum(["cgroup2", "cgroup1", "process"]),
    egress: z.enum(["none", "names", "public"]),
    /** Whether the server itself fetches images from public addresses. */
    fetches: z.boolean(),
    /** The exact QEMU of deterministic machines; empty where none can run. */
    vmEngine: z.string().max(64),
    allowedParties: z.array(zParty).max(100),
    engine: z.string().max(64),
    channelKey: zKey,
  }),
  "offer-withdrawal": z.strictObject({ ...base, owner: zParty, server: zServer, sequence: z.int().min(1) }),
  batch: z.strictObject({ ...base, party: zParty, account: zAccount, budgetNanos: zNanos, expiresAt: zTime, clientId: hex(16) }),
  "batch-close": z.strictObject({ ...base, party: zParty, batch: zId }),
  order: z.strictObject({
    ...base,
    party: zParty,
    account: zAccount,
    batch: zId.nullable(),
    clientId: hex(16),
    jobHash: zId,
    /** The job hash is that of one segment of a job (ids.ts): only then may its result be a state. */
    segment: z.boolean(),
    driver: z.enum(DRIVERS),
    /** Of a virtual machine: only by hardware, or emulated too. */
    accel: z.enum(["kvm", "any"]),
    egress: zEgress,
    /** The most it may send and receive; held for, like the longest time. */
    egressMibMax: z.int().min(0).max(1_073_741_824),
    resources: zResources,
    conditions: z.array(zCondition).max(32),
    assurance: z.enum(ASSURANCES),
    terms: zTerms,
    on: z.enum(["mine", "market"]),
    maxPriceNanosPerHour: zNanos.nullable(),
    durationMsMax: z.int().min(1).max(31_536_000_000),
    /** The same as in the job's spec. */
    fuelMax: zFuel,
    budgetNanos: zNanos,
    /** On servers of so many owners, each within its share of the budget. */
    replicas: z.int().min(1).max(REPLICAS_MAX),
    expiresAt: zTime,
    label: z
      .string()
      .max(64)
      .regex(/^[^\p{C}]*$/u),
    channelKey: zKey,
  }),
  "purchase-order": z.strictObject({
    ...base,
    order: zEnvelope,
    offer: zEnvelope,
    orderId: zId,
    offerId: zId,
    slot: z.int().min(0),
    attempt: z.int().min(1),
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
    egressMibMax: z.int().min(0),
    timeBound: z.enum(["time-limit", "budget"]),
    fuelBound: z.enum(["fuel-limit", "budget"]),
    holdNanos: zNanos,
    cancellationNanos: zNanos,
    feeBasisPoints: z.int().min(0).max(5_000),
    stakeNanos: zNanos,
    timings: zTimings,
    issuedAt: zTime,
    acceptBy: zTime,
    startBy: zTime,
  }),
  acceptance: z.strictObject({ ...base, lease: zId, server: zServer }),
  opening: z.strictObject({ ...base, lease: zId, acceptance: zId, at: zTime }),
  /** A replica has its result: the id of the result document, whose nonce hides it until it is shown. */
  commitment: z.strictObject({ ...base, lease: zId, server: zServer, result: zId }),
  /** Every replica of the order has committed, or has ended without: results may be shown. */
  reveal: z.strictObject({ ...base, lease: zId, order: zId, at: zTime }),
  claim: z.strictObject({ ...base, lease: zId, incarnation: z.int().min(1), sequence: z.int().min(1), usedMs: zMs, egressBytes: zBytes, previous: zId }),
  "claim-receipt": z.strictObject({ ...base, lease: zId, claim: zId, sequence: z.int().min(1), usedMs: zMs, egressBytes: zBytes, at: zTime }),
  stop: z.strictObject({ ...base, lease: zId, party: zParty, reason: zText }),
  extension: z.strictObject({ ...base, lease: zId, party: zParty, durationMsMax: zMs, previous: zId }),
  amendment: z.strictObject({ ...base, lease: zId, extension: zEnvelope, durationMsMax: zMs, holdNanos: zNanos, previous: zId, at: zTime }),
  closing: z.strictObject({ ...base, lease: zId, reason: z.enum(END_REASONS), at: zTime, lastClaim: zId.nullable() }),
  result: z.strictObject({
    ...base,
    lease: zId,
    server: zServer,
    jobHash: zId,
    engine: z.string().max(64),
    reason: z.enum(RESULT_REASONS),
    exitCode: z.int().min(0).max(255).nullable(),
    usedMs: zMs,
    egressBytes: zBytes,
    lastClaim: zId,
    /** What the job used, exact and the same on every server; a stop from outside counts up to the guest's last call, return or finished loop. */
    fuel: zFuel,
    /** Hash of the guest's memory at its end; null when it was stopped from outside or did not start. */
    memoryHash: zId.nullable(),
    outputDigest: zId,
    stdoutDigest: zId,
    stderrDigest: zId,
    /** Of one segment of a job: the root of the state, or of the job's end, that it came to. */
    stateRoot: zId.nullable(),
    /** Random: nobody can guess the document's id from what the job came to. */
    nonce: hex(32),
    detail: zText,
  }),
  settlement: z.strictObject({
    ...base,
    lease: zId,
    result: zId.nullable(),
    closing: zId,
    reason: z.enum(END_REASONS),
    blame: z.enum(["customer", "owner", "broker", "nobody"]),
    billableMs: zMs,
    billableFuel: zFuel,
    billableEgressBytes: zBytes,
    dueNanos: zNanos,
    feeNanos: zNanos,
    ownerNanos: zNanos,
    refundNanos: zNanos,
    windowEndsAt: zTime,
    at: zTime,
  }),
  objection: z.strictObject({ ...base, lease: zId, party: zParty, expectedDueNanos: zNanos, reason: zText }),
  referee: z.strictObject({ ...base, server: zServer, active: z.boolean(), clientId: hex(16) }),
  witness: z.strictObject({ ...base, name: z.string().regex(/^[a-z0-9.-]{1,64}$/), key: zKey, active: z.boolean(), clientId: hex(16) }),
  /** The customer doubts a long job's result: its server is to run it again with checkpoints and sign their roots. */
  "trace-request": z.strictObject({ ...base, lease: zId, party: zParty, step: zFuel }),
  trace: z.strictObject({
    ...base,
    lease: zId,
    server: zServer,
    request: zId,
    jobHash: zId,
    engine: z.string().max(64),
    step: zFuel,
    /** Of the state at each checkpoint: the first at which so many steps of fuel were used. Empty when the job has no build with checkpoints. */
    roots: z.array(zId).max(TRACE_ROOTS_MAX),
    detail: zText,
  }),
  /** `segment`: the referee ran that part of the job alone; null: all of it. */
  dispute: z.strictObject({ ...base, lease: zId, party: zParty, refereeLease: zId, segment: z.int().min(1).nullable() }),
  verdict: z.strictObject({
    ...base,
    lease: zId,
    server: zServer,
    owner: zParty,
    referee: zServer,
    /** What the server signed. */
    result: zEnvelope,
    /** What the referee signed for the same job. */
    ruling: zEnvelope,
    /** The server's roots, where the referee ran one segment; null where it ran the whole job. */
    trace: zEnvelope.nullable(),
    segment: z.int().min(1).nullable(),
    why: zText,
    refundNanos: zNanos,
    slashedNanos: zNanos,
    at: zTime,
  }),
  epoch: z.strictObject({
    ...base,
    epoch: z.int().min(1),
    previousOrigin: zOrigin.nullable(),
    previousSize: z.int().min(0),
    previousRoot: zId.nullable(),
    reason: zText,
    at: zTime,
  }),
} as const;

export type Kind = keyof typeof schemas;
export type Payload<K extends Kind> = z.infer<(typeof schemas)[K]>;
export const KINDS = Object.keys(schemas) as Kind[];
export const schemaOf = <K extends Kind>(kind: K) => schemas[kind];

interface KindRow {
  /** Key roles of a party that may sign it, or the broker's own purchase-order key, or the operator's key. */
  signedBy: readonly KeyRole[] | "broker" | "operator" | "self";
  /** Plain in the public log (everything else is a salted commitment). */
  public: boolean;
}

export const KIND_TABLE: Record<Kind, KindRow> = {
  party: { signedBy: "self", public: true },
  "key-grant": { signedBy: ["root", "enrol"], public: true },
  "key-revoke": { signedBy: ["root"], public: true },
  "key-rotate": { signedBy: ["root"], public: true },
  login: { signedBy: ["root", "device", "ci", "server"], public: false },
  account: { signedBy: ["root"], public: false },
  "account-limit": { signedBy: ["root"], public: false },
  payout: { signedBy: ["root"], public: false },
  stake: { signedBy: ["root"], public: false },
  credit: { signedBy: "operator", public: false },
  suspension: { signedBy: "operator", public: true },
  fee: { signedBy: "operator", public: true },
  ruling: { signedBy: "operator", public: false },
  offer: { signedBy: ["root", "server"], public: true },
  "offer-withdrawal": { signedBy: ["root", "server"], public: true },
  batch: { signedBy: ["root", "device", "ci"], public: false },
  "batch-close": { signedBy: ["root", "device", "ci"], public: false },
  order: { signedBy: ["root", "device", "ci"], public: false },
  "purchase-order": { signedBy: "broker", public: false },
  acceptance: { signedBy: ["root", "server"], public: false },
  opening: { signedBy: "broker", public: false },
  commitment: { signedBy: ["root", "server"], public: false },
  reveal: { signedBy: "broker", public: false },
  claim: { signedBy: ["root", "server"], public: false },
  "claim-receipt": { signedBy: "broker", public: false },
  stop: { signedBy: ["root", "device", "ci"], public: false },
  extension: { signedBy: ["root", "device", "ci"], public: false },
  amendment: { signedBy: "broker", public: false },
  closing: { signedBy: "broker", public: false },
  result: { signedBy: ["root", "server"], public: false },
  settlement: { signedBy: "broker", public: false },
  objection: { signedBy: ["root", "device", "server"], public: false },
  referee: { signedBy: "operator", public: true },
  witness: { signedBy: "operator", public: true },
  "trace-request": { signedBy: ["root", "device"], public: false },
  trace: { signedBy: ["root", "server"], public: false },
  dispute: { signedBy: ["root", "device", "ci"], public: false },
  verdict: { signedBy: "broker", public: true },
  epoch: { signedBy: "broker", public: true },
};
