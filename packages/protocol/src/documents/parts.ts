/** The pieces that documents are made of, as schemas. Amounts are decimal strings of nanos; ids and keys are lowercase hex. */
import { OPERATORS, PAYMENT_TERMS, parseNanos } from "@xenoservers/market";
import * as z from "zod/mini";
import { inEnglish } from "../schema-words.ts";

inEnglish();

export const ENVELOPE_PAYLOAD_BYTES_MAX = 65_536;

export const hex = (bytes: number) =>
  z.string().check(z.regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`), `must be ${bytes} bytes of lowercase hex`));
export const zId = hex(32);
export const zKey = hex(32);
export const zParty = z.string().check(z.regex(/^p_[0-9a-f]{40}$/, "must be a party id"));
export const zServer = z.string().check(z.regex(/^s_[0-9a-f]{40}$/, "must be a server id"));
export const zAccount = z.string().check(z.regex(/^a_[0-9a-f]{40}$/, "must be an account id"));
const NANOS = "must be a decimal integer of nanos";
export const zNanos = z.string().check(
  z.regex(/^[0-9]+$/, NANOS),
  z.refine((text) => parseNanos(text) !== null, NANOS),
);
const FUEL = "must be a decimal integer of fuel";
const FUEL_TEXT = /^(0|[1-9][0-9]{0,18})$/;
/** Fuel as a decimal integer; at most 2^62, so that it fits the engine's counter. */
export const zFuel = z.string().check(
  z.regex(FUEL_TEXT, FUEL),
  z.refine((text) => !FUEL_TEXT.test(text) || BigInt(text) <= 1n << 62n, FUEL),
);
/** Checkpoints of one trace: the referee's part of a disputed job is one in so many. */
export const TRACE_ROOTS_MAX = 256;
export const zTime = z.int().check(z.gte(0));
export const zMs = z.int().check(z.gte(0), z.lte(31_536_000_000));
export const zName = z.string().check(z.minLength(1), z.maxLength(64), z.regex(/^[^\p{C}]+$/u, "must not hold control characters"));
const plain = (charactersMax: number) =>
  z.string().check(z.maxLength(charactersMax), z.regex(/^[^\p{Cc}]*$/u, "must not hold control characters"));
export const zText = plain(500);
/** What programs compare and people read, such as an engine's name. */
export const zWord = plain(64);
export const LABELS_MAX = 16;
export const zLabels = z
  .record(z.string().check(z.regex(/^[a-z0-9-]{1,32}$/)), z.string().check(z.regex(/^[A-Za-z0-9._:-]{1,64}$/)))
  .check(z.refine((labels) => Object.keys(labels).length <= LABELS_MAX, `at most ${LABELS_MAX} labels`));
/** The name of one run of the log: 16 random bytes, drawn when it starts, so that no two ever share one. */
export const zEpoch = hex(16);
/** The log as somebody has seen it: which run of it, how long, and its root. */
export const zLogState = z.strictObject({ epoch: zEpoch, size: z.int().check(z.gte(0)), root: zId });
export type LogState = z.infer<typeof zLogState>;
/** What a signer had seen of the log, and so the epoch that it signed towards; null: it knew of none. */
const zSeen = z.nullable(zLogState);
const zOrigin = plain(200).check(z.minLength(1));

export const zResources = z.strictObject({
  vcpu: z.int().check(z.gte(1), z.lte(1024)),
  memoryMib: z.int().check(z.gte(1), z.lte(16_777_216)),
  diskMib: z.int().check(z.gte(0), z.lte(1_073_741_824)),
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
    .array(z.string().check(z.regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/, "must be a host name in lower case")))
    .check(z.minLength(1), z.maxLength(64)),
]);
export type Egress = z.infer<typeof zEgress>;
export const zBytes = z.int().check(z.gte(0));
export const zCondition = z.strictObject({ key: zWord, op: z.enum(OPERATORS), value: zWord });
export const zTimings = z.strictObject({
  acceptWithinMs: zMs,
  startWithinMs: zMs,
  claimIntervalMs: zMs,
  graceMs: zMs,
  deliverWithinMs: zMs,
  disputeWindowMs: zMs,
  ruleWithinMs: zMs,
});
export const zTerms = z.enum(PAYMENT_TERMS);
export const zEnvelope = z.strictObject({
  payloadType: z.string().check(z.maxLength(100)),
  payload: z.string().check(z.maxLength(Math.ceil((ENVELOPE_PAYLOAD_BYTES_MAX * 4) / 3) + 4)),
  signatures: z.tuple([z.strictObject({ keyid: zKey, sig: z.string().check(z.length(88)) })]),
});
export type Envelope = z.infer<typeof zEnvelope>;

/** The broker's own keys. */
export const zMarketKeys = z.strictObject({ purchaseOrders: zKey, checkpoints: zKey, receipts: zKey });
export const zFeeBasisPoints = z.int().check(z.gte(0), z.lte(5_000));
/** What identifies a market and its keys: pinned at login, at enrolment, and in every token. */
export const zPins = z.strictObject({
  origin: z.string(),
  keys: zMarketKeys,
  operatorKey: zKey,
});
export type MarketPins = z.infer<typeof zPins>;

/** Of every document. */
export const base = { origin: zOrigin, seen: zSeen };
