/**
 * What two servers of one owner say when a lease moves between them, inside a channel between their channel keys (Noise, prologue = the
 * lease's id). Files come in pieces, in the driver's own names for them.
 *
 *   has the lease                         is to have it
 *              ◀───────── {offer}         (in clear, as it is listed: the owner named the server whose key has signed it)
 *   {lease, channelKey} ────────────────▶ (in clear: only whoever holds that key is answered)
 *   lease + {receipt, work} ────────────▶ folds it, and holds its room
 *              ◀───────── yes
 *   file {name} + bytes … ──────────────▶ first of one that runs, then the rest of a guest that stands still
 *   carried ────────────────────────────▶ restores it, still
 *              ◀───────── yes
 *   handover + {handover, receipt, …} ──▶ signs the takeover, and hands it in
 *              ◀───────── yes             the lease is there
 *
 * In place of a `yes` there may be a `no`, in words; before either, as often as it takes, a `busy`: whoever says nothing is gone.
 * Who controls the inputs: the other end, every byte.
 */
import { jsonIn, parseUtf8, zEnvelope, zId, zKey, zReceipt, type Envelope } from "@xenoservers/protocol";
import { parseChannelHeader } from "@xenoservers/protocol/channel";
import { z } from "zod";
import { bringsWork, headerOf, workOf, type Work } from "../drivers/work.ts";
import type { Handed, HandedOver } from "../lease/handing-over.ts";

/** A file's pieces. */
export const PIECE_BYTES_MAX = 252 * 1024;
export const WHY_MAX = 500;

const zMoveHeader = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("lease") }),
  z.strictObject({ t: z.literal("file"), name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,79}$/) }),
  z.strictObject({ t: z.literal("carried") }),
  z.strictObject({ t: z.literal("handover") }),
  z.strictObject({ t: z.literal("busy") }),
  z.strictObject({ t: z.literal("yes") }),
  z.strictObject({ t: z.literal("no"), why: z.string().max(WHY_MAX) }),
]);
export type MoveHeader = z.infer<typeof zMoveHeader>;

const read = <T>(schema: z.ZodType<T>, text: string | null): T | null => {
  const parsed = schema.safeParse(text === null ? undefined : jsonIn(text));
  return parsed.success ? parsed.data : null;
};

export const parseMoveHeader = (text: string): MoveHeader | null => read(zMoveHeader, text);

const zOfferSaid = z.strictObject({ offer: zEnvelope });
const zLeaseSaid = z.strictObject({ lease: zId, channelKey: zKey });
export type LeaseSaid = z.infer<typeof zLeaseSaid>;

/** What each side says in clear; null where it is something else. */
export const parseOfferSaid = (text: string): Envelope | null => read(zOfferSaid, text)?.offer ?? null;
export const parseLeaseSaid = (text: string): LeaseSaid | null => read(zLeaseSaid, text);

const zHanded = z.strictObject({
  receipt: zReceipt,
  /** As its customer brought it. */
  work: z.looseObject({ t: z.enum(["job", "vm"]) }),
});
const zHandedOver = z.strictObject({ handover: zEnvelope, receipt: zReceipt, pausedByCustomer: z.boolean() });

export const handedText = ({ receipt, work }: Handed): string => JSON.stringify({ receipt, work: headerOf(work) });

function workIn(value: object): Work | null {
  const header = parseChannelHeader(JSON.stringify(value));
  return header && bringsWork(header) ? workOf(header) : null;
}

export function parseHanded(body: Uint8Array): Handed | null {
  const handed = read(zHanded, parseUtf8(body));
  const work = handed && workIn(handed.work);
  return handed && work && { ...handed, work };
}

export const handedOverText = ({ handover, receipt, pausedByCustomer }: HandedOver): string =>
  JSON.stringify({ handover, receipt, pausedByCustomer });

export const parseHandedOver = (body: Uint8Array): HandedOver | null => read(zHandedOver, parseUtf8(body));
