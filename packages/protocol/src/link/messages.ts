/**
 * What crosses the link between the broker and a daemon or customer, as JSON text. Binary messages are channel bytes: 16 bytes of
 * session, then the ciphertext, which the broker passes on unread. Who controls the inputs: the other end, every byte.
 */
import * as z from "zod/mini";
import { bytesOfHex, concatBytes, parseUtf8, toHex } from "../bytes.ts";
import { zEnvelope, zId, zKey, zLogState, zMarketKeys, zParty, zServer, zTimings, type MarketPins } from "../documents/parts.ts";

export const PROTOCOL_VERSION = 1;
const SESSION_BYTES = 16;
const CHANNEL_MESSAGE_BYTES_MAX = 70_000;

const zSession = z.string().check(z.regex(/^[0-9a-f]{32}$/));
const zFacts = z.record(z.string(), z.unknown());

export const zMarketInfo = z.strictObject({
  origin: z.string(),
  currency: z.string(),
  keys: zMarketKeys,
  operatorKey: zKey,
  /** As the broker last saw it. */
  log: zLogState,
  /** In force now. */
  feeBasisPoints: z.int(),
  /** The next fee, and from when on; null: none is announced. */
  announcedFee: z.nullable(z.strictObject({ basisPoints: z.int(), effectiveAt: z.int() })),
  /** Servers whose results decide disputes. */
  referees: z.array(zServer),
  /** Who cosigns checkpoints of the log. */
  witnesses: z.array(z.strictObject({ name: z.string(), key: z.string() })),
  mergeDelayMs: z.int(),
  timings: zTimings,
  protocol: z.strictObject({ min: z.int(), max: z.int() }),
  now: z.int(),
});
export type MarketInfo = z.infer<typeof zMarketInfo>;

/** What of a market's own description is pinned. */
export const pinsOf = ({ origin, keys, operatorKey }: MarketInfo): MarketPins => ({ origin, keys, operatorKey });

/** The highest fee that is in force or announced: what whoever signs an offer or an order agrees to. */
export const feeToSign = ({ feeBasisPoints, announcedFee }: MarketInfo): number => Math.max(feeBasisPoints, announcedFee?.basisPoints ?? 0);

/** How often each end of a link lets the other hear something, and after how many such times without a word it takes it for hung. */
const zBeat = z.strictObject({ everyMs: z.int().check(z.gte(50), z.lte(60_000)), missedMax: z.int().check(z.gte(1), z.lte(100)) });
export type Beat = z.infer<typeof zBeat>;
export const DEFAULT_BEAT: Beat = { everyMs: 5_000, missedMax: 3 };

/** A server's clock as the broker measured it when it logged in: ahead of the market's by so much, give or take half the round trip. */
const zClock = z.strictObject({ offsetMs: z.int(), errorMs: z.int().check(z.gte(0)), allowedMs: z.int().check(z.gte(0)) });

/** Documents with their log times, and the public documents that give their signers' keys their roles. */
export const zDocuments = z.strictObject({
  grants: z.array(zEnvelope),
  filed: z.array(z.strictObject({ envelope: zEnvelope, at: z.int() })),
});
export type Documents = z.infer<typeof zDocuments>;

export const zToBroker = z.discriminatedUnion("t", [
  /** `clock`: what the time is at this end. */
  z.strictObject({ t: z.literal("hello"), protocol: z.int(), login: zEnvelope, clock: z.int() }),
  /** `delivery`: with a result, its customer's word that the bytes are there. `waits`: an order waits where there is no room now. */
  z.strictObject({
    ...{ t: z.literal("submit"), ref: z.int(), envelope: z.unknown(), delivery: z.optional(z.unknown()) },
    waits: z.optional(z.boolean()),
  }),
  z.strictObject({ t: z.literal("channel-open"), lease: zId, session: zSession }),
  z.strictObject({ t: z.literal("channel-close"), session: zSession }),
  z.strictObject({ t: z.literal("ping") }),
  /**
   * A stop of a lease, or the withdrawal of an order that waits (`lease` is then that order), which is to be filed once its customer is
   * gone, or null: none any more. Answered as a document. See will.ts.
   */
  z.strictObject({ t: z.literal("will"), ref: z.int(), lease: zId, envelope: z.unknown() }),
]);
export type ToBroker = z.infer<typeof zToBroker>;

export const zFromBroker = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("challenge"), challenge: z.string(), market: zMarketInfo, beat: zBeat }),
  /** `clock`: of a server. */
  z.strictObject({ t: z.literal("welcome"), party: zParty, live: zDocuments, clock: z.nullable(zClock) }),
  z.strictObject({ t: z.literal("refused"), error: zFacts }),
  z.strictObject({ t: z.literal("answer"), ref: z.int(), answer: z.optional(zFacts), error: z.optional(zFacts) }),
  z.strictObject({ t: z.literal("documents"), documents: zDocuments }),
  z.strictObject({
    t: z.literal("event"),
    event: z.strictObject({ kind: z.string(), lease: z.nullable(z.string()), data: zFacts, at: z.int() }),
  }),
  z.strictObject({ t: z.literal("channel-open"), lease: zId, session: zSession }),
  z.strictObject({ t: z.literal("channel-close"), session: zSession, why: z.string() }),
  /** `now`: what the time is at the broker. */
  z.strictObject({ t: z.literal("pong"), now: z.int() }),
]);
export type FromBroker = z.infer<typeof zFromBroker>;

export function parseMessage<T>(schema: z.core.$ZodType<T>, text: string | Uint8Array): T | null {
  try {
    const parsed = z.safeParse(schema, JSON.parse(typeof text === "string" ? text : (parseUtf8(text) ?? "")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export const channelMessage = (session: string, bytes: Uint8Array): Uint8Array => concatBytes(bytesOfHex(session), bytes);

export function parseChannelMessage(message: Uint8Array): { session: string; bytes: Uint8Array } | null {
  if (message.length <= SESSION_BYTES || message.length > CHANNEL_MESSAGE_BYTES_MAX) return null;
  return { session: toHex(message.subarray(0, SESSION_BYTES)), bytes: message.subarray(SESSION_BYTES) };
}
