/**
 * What two servers of one owner say when a lease moves between them, inside a channel between their channel keys (Noise, prologue = the
 * lease's id). Files come in pieces, in the driver's own names for them.
 *
 *   has the lease                         is to have it
 *              ◀───────── {offer}         (in clear, as it is listed: the owner named the server whose key has signed it; null: of one
 *                                          that takes no leases now)
 *   {lease, channelKey} ────────────────▶ (in clear: only whoever holds that key is answered)
 *   lease + {po, move, work, …} ────────▶ whose it is, and that it comes from where it is
 *              ◀───────── yes
 *   log + {grants, filed} … ────────────▶ folds it, part by part
 *   logged ─────────────────────────────▶ holds its room
 *              ◀───────── yes
 *   file {name} + bytes … ──────────────▶ first of one that runs, then the rest of a guest that stands still
 *   carried ────────────────────────────▶ restores it, still
 *              ◀───────── yes
 *   log + {grants, filed} … ────────────▶ what was filed since
 *   handover + {handover, …} ───────────▶ signs the takeover, and hands it in
 *              ◀───────── yes             the lease is there
 *
 * In place of a `yes` there may be a `no`, in words; before either, as often as it takes, a `busy`: whoever says nothing is gone.
 * Who controls the inputs: the other end, every byte.
 */
import { jsonIn, parseUtf8, zEnvelope, zId, zKey, type Envelope } from "@xenoservers/protocol";
import { parseChannelHeader } from "@xenoservers/protocol/channel";
import { zDocuments, type Documents } from "@xenoservers/protocol/link";
import { z } from "zod";
import { bringsWork, headerOf, workOf, type Work } from "../drivers/work.ts";
import type { Handed, HandedOver } from "../lease/taker.ts";

/** A file's pieces. */
export const PIECE_BYTES_MAX = 252 * 1024;
export const WHY_MAX = 500;
/** A part of a lease's log. */
export const LOG_PART_BYTES_MAX = 1024 * 1024;
/** Of one lease: a claim every ten seconds and its receipt are half of it in a month. */
export const LOG_DOCUMENTS_MAX = 1_000_000;

const zMoveHeader = z.discriminatedUnion("t", [
  z.strictObject({ t: z.literal("lease") }),
  z.strictObject({ t: z.literal("log") }),
  z.strictObject({ t: z.literal("logged") }),
  z.strictObject({ t: z.literal("file"), name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,79}$/) }),
  z.strictObject({ t: z.literal("carried") }),
  z.strictObject({ t: z.literal("handover") }),
  z.strictObject({ t: z.literal("busy") }),
  z.strictObject({ t: z.literal("yes") }),
  z.strictObject({ t: z.literal("no"), why: z.string().max(WHY_MAX) }),
]);
export type MoveHeader = z.infer<typeof zMoveHeader>;

interface Schema<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false };
}
const read = <T>(schema: Schema<T>, text: string | null): T | null => {
  const parsed = schema.safeParse(text === null ? undefined : jsonIn(text));
  return parsed.success ? parsed.data : null;
};

export const parseMoveHeader = (text: string): MoveHeader | null => read(zMoveHeader, text);

const zOfferSaid = z.strictObject({ offer: z.nullable(zEnvelope) });
const zLeaseSaid = z.strictObject({ lease: zId, channelKey: zKey });
export type LeaseSaid = z.infer<typeof zLeaseSaid>;

/** What each side says in clear; null where it is something else. */
export const parseOfferSaid = (text: string): { offer: Envelope | null } | null => read(zOfferSaid, text);
export const parseLeaseSaid = (text: string): LeaseSaid | null => read(zLeaseSaid, text);

const zHanded = z.strictObject({
  grants: z.array(zEnvelope),
  po: z.strictObject({ envelope: zEnvelope, at: z.int() }),
  acceptance: zEnvelope,
  move: z.nullable(zEnvelope),
  /** As its customer brought it. */
  work: z.looseObject({ t: z.enum(["job", "vm"]) }),
  keptMib: z.nullable(z.int().min(0)),
});
const zHandedOver = z.strictObject({ handover: zEnvelope, pausedByCustomer: z.boolean() });

export const handedText = ({ work, ...bound }: Handed): string => JSON.stringify({ ...bound, work: headerOf(work) });

function workIn(value: object): Work | null {
  const header = parseChannelHeader(JSON.stringify(value));
  return header && bringsWork(header) ? workOf(header) : null;
}

export function parseHanded(body: Uint8Array): Handed | null {
  const handed = read(zHanded, parseUtf8(body));
  const work = handed && workIn(handed.work);
  return handed && work && { ...handed, work };
}

export const handedOverText = ({ handover, pausedByCustomer }: HandedOver): string => JSON.stringify({ handover, pausedByCustomer });

export const logPartText = ({ grants, filed }: Documents): string => JSON.stringify({ grants, filed });

export const parseLogPart = (body: Uint8Array): Documents | null => read(zDocuments, parseUtf8(body));

export const parseHandedOver = (body: Uint8Array): HandedOver | null => read(zHandedOver, parseUtf8(body));
