/**
 * A receipt that is longer than one answer, fetched in parts and kept as they come: what is not its next part ends it. What a fetch that
 * is broken off has brought lies beside it, and the next one goes on from there. Who controls the inputs: the broker, every byte, how many
 * parts there are and when they come; this machine's disk, which may be full. Bounds: one part in memory, and those of parts.ts.
 */
import path from "node:path";
import type { Receipt } from "@xenoservers/protocol";
import { systemCode } from "@xenoservers/protocol/files";
import type { MarketClient } from "../../client.ts";
import { BrokenWordError, KeptError, RefusedError } from "../../errors.ts";
import type { ReceiptWatching } from "../../facade/long-receipt.ts";
import { PART } from "../../receipt.ts";
import { roomIn } from "../../room.ts";
import { shortId } from "../../words.ts";
import { OtherLog, Parts } from "./parts.ts";
import { PartsPlace, type Begun } from "./parts-place.ts";

/** The broker's log may begin anew while it is asked. */
const TRIES = 3;
/** What a broker answers then. */
const AFRESH: readonly string[] = ["conflict", "not_found"];

interface PartsOptions extends ReceiptWatching {
  /** All but its claims, as it stands now: what an earlier fetch brought can be gone on with by it. Absent: it begins anew. */
  now?: Receipt | undefined;
  /** How many bytes may be written to a folder. */
  room?: (folder: string) => Promise<number>;
}

const noRoom = (lease: string, cause?: unknown): KeptError =>
  new KeptError(`the disk has no room for the receipt of lease ${shortId(lease)}`, { cause });

const isFull = (error: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(systemCode(error));

/** Of a lease: what it has that is no claim, and two documents for each claim. */
const countIn = (now: Receipt | undefined): number | null => (now?.claims === undefined ? null : now.documents.length + 2 * now.claims);

/** Throws OtherLog where its log, or what came last, is there no more. */
function nextPart(client: MarketClient, id: string, parts: Parts | null, signal: AbortSignal | undefined): Promise<Receipt> {
  const from = parts && parts.last !== null ? { after: parts.last, size: parts.size } : {};
  return client.read("receipt", { params: { id }, query: { limit: PART, ...from }, signal }).catch((error: unknown) => {
    throw parts !== null && error instanceof RefusedError && AFRESH.includes(error.code) ? new OtherLog() : error;
  });
}

/** All that is not there yet. */
async function writeParts(
  client: MarketClient,
  lease: string,
  place: PartsPlace,
  begun: Begun | null,
  options: PartsOptions,
): Promise<void> {
  const { now, onProgress = () => {}, signal, room = roomIn } = options;
  const inAll = countIn(now);
  const most = (await room(path.dirname(place.lines))) + (begun?.bytes ?? 0);
  const before = begun && { documents: begun.parts.count, bytes: begun.bytes, at: begun.at };
  let part = await nextPart(client, lease, begun?.parts ?? null, signal);
  const parts = begun?.parts ?? new Parts({ ...part, lease });
  const writer = await place.open(begun);
  try {
    if (!begun) await writer.write({ lines: parts.head });
    for (;;) {
      const taken = parts.take(part);
      if (parts.bytes > most) throw noRoom(lease);
      await writer.write(taken);
      const documentsInAll = inAll === null ? null : Math.max(inAll, parts.count);
      onProgress({ documents: parts.count, documentsInAll, bytes: parts.bytes, before });
      if (parts.isOver || parts.last === null) break;
      part = await nextPart(client, lease, parts, signal);
    }
    await writer.write({ lines: parts.end });
    await writer.sync();
  } finally {
    await writer.close();
  }
}

/** What came is a beginning still: nobody has shown that it is none, and there is room for more. */
const isBegun = (error: unknown): boolean => !(error instanceof BrokenWordError || error instanceof OtherLog || error instanceof KeptError);

/**
 * Fetched to that file, whole or not at all; the disk is not filled with it. Throws BrokenWordError where the broker's parts are none of a
 * receipt, RefusedError where it gives none, KeptError where the disk takes no more.
 */
export async function keepParts(client: MarketClient, lease: string, file: string, options: PartsOptions = {}): Promise<void> {
  const toldFull = (error: unknown): never => {
    throw isFull(error) ? noRoom(lease, error) : error;
  };
  const place = await PartsPlace.of(file).catch(toldFull);
  let keeps = false;
  try {
    for (let tries = 1; ; tries++) {
      const begun = options.now && tries === 1 ? await place.begun(options.now) : null;
      try {
        await writeParts(client, lease, place, begun, options);
        return await place.becomes(file);
      } catch (error) {
        if (!(error instanceof OtherLog)) throw error;
        if (tries === TRIES) throw new BrokenWordError("the broker's log began anew each time that its receipt was read");
      }
    }
  } catch (error) {
    keeps = isBegun(error) && !isFull(error);
    return toldFull(error);
  } finally {
    await place.leave(keeps);
  }
}
