/**
 * What crosses the link between the broker and a daemon or customer, as JSON text. Binary messages are channel bytes: 16 bytes of session, then
 * the ciphertext, which the broker passes on unread. Who controls the inputs: the other end, every byte.
 */
import { z } from "zod";
import { concatBytes, fromHex, parseUtf8, toHex } from "../bytes.ts";
import { zEnvelope, zId, zParty, zServer } from "../documents.ts";

export const PROTOCOL_VERSION = 1;
export const SESSION_BYTES = 16;
export const CHANNEL_MESSAGE_BYTES_MAX = 70_000;

const zSession = z.string().regex(/^[0-9a-f]{32}$/);
const zFacts = z.record(z.string(), z.unknown());

export const zMarketInfo = z.strictObject({
  origin: z.string(),
  currency: z.string(),
  keys: z.strictObject({ purchaseOrders: z.string(), checkpoints: z.string(), receipts: z.string() }),
  operatorKey: z.string(),
  epoch: z.int(),
  feeBasisPoints: z.int(),
  /** Servers whose results decide disputes. */
  referees: z.array(zServer),
  /** Who cosigns checkpoints of the log. */
  witnesses: z.array(z.strictObject({ name: z.string(), key: z.string() })),
  mergeDelayMs: z.int(),
  timings: z.strictObject({ acceptWithinMs: z.int(), startWithinMs: z.int(), claimIntervalMs: z.int(), graceMs: z.int(), disputeWindowMs: z.int() }),
  protocol: z.strictObject({ min: z.int(), max: z.int() }),
  now: z.int(),
});
export type MarketInfo = z.infer<typeof zMarketInfo>;

export const zToBroker = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("hello"), protocol: z.int(), login: zEnvelope }),
  z.strictObject({ t: z.literal("submit"), ref: z.int(), envelope: z.unknown() }),
  z.strictObject({ t: z.literal("channel-open"), lease: zId, session: zSession }),
  z.strictObject({ t: z.literal("channel-close"), session: zSession }),
  z.strictObject({ t: z.literal("ping") }),
]);
export type ToBroker = z.infer<typeof zToBroker>;

export const zFromBroker = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("challenge"), challenge: z.string(), market: zMarketInfo }),
  z.strictObject({ t: z.literal("welcome"), party: zParty, live: z.array(zEnvelope) }),
  z.strictObject({ t: z.literal("refused"), error: zFacts }),
  z.strictObject({ t: z.literal("answer"), ref: z.int(), answer: zFacts.optional(), error: zFacts.optional() }),
  z.strictObject({ t: z.literal("documents"), documents: z.array(zEnvelope) }),
  z.strictObject({ t: z.literal("event"), event: z.strictObject({ kind: z.string(), lease: z.string().nullable(), data: zFacts, at: z.int() }) }),
  z.strictObject({ t: z.literal("channel-open"), lease: zId, session: zSession }),
  z.strictObject({ t: z.literal("channel-close"), session: zSession, why: z.string() }),
  z.strictObject({ t: z.literal("pong") }),
]);
export type FromBroker = z.infer<typeof zFromBroker>;

export function parseMessage<T>(schema: z.ZodType<T>, text: string | Uint8Array): T | null {
  try {
    const parsed = schema.safeParse(JSON.parse(typeof text === "string" ? text : (parseUtf8(text) ?? "")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

export const channelMessage = (session: string, bytes: Uint8Array): Uint8Array => concatBytes(fromHex(session)!, bytes);

export function parseChannelMessage(message: Uint8Array): { session: string; bytes: Uint8Array } | null {
  if (message.length <= SESSION_BYTES || message.length > CHANNEL_MESSAGE_BYTES_MAX) return null;
  return { session: toHex(message.subarray(0, SESSION_BYTES)), bytes: message.subarray(SESSION_BYTES) };
}
