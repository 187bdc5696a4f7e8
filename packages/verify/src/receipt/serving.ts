/**
 * Which server has a lease, by its receipt: who signs for it from now on, and by which key it is reached. By the fold alone: a move that
 * does not follow from what both servers of its owner signed brings nobody to another server. Who controls the input: whoever hands over
 * the file.
 */
import { parseDocumentOf, type Crypto, type MarketPins, type Receipt } from "@xenoservers/protocol";
import { inLogOrder, openDocuments } from "./opened.ts";
import { tell } from "./told.ts";

export interface Serving {
  server: string;
  serverKey: string;
  channelKey: string;
}

type ServingResult = { ok: true; serving: Serving | null } | { ok: false; why: string };

/** Null: the lease is where it began. */
export function servingOf(crypto: Crypto, pins: MarketPins, receipt: Receipt): ServingResult {
  const opened = openDocuments(crypto, receipt);
  if (!opened.ok) return opened;
  const told = tell(crypto, pins, inLogOrder(opened.entries));
  if (told.broken) return { ok: false, why: told.broken.why };
  const { lease } = told;
  const move = told.factsOf("move").at(-1);
  const document = opened.entries.find((entry) => entry.document.id === move?.id)?.document;
  if (lease === null || document?.kind !== "move") return { ok: true, serving: null };
  const takeover = parseDocumentOf(crypto, "takeover", document.payload.takeover);
  const offer = takeover.ok ? parseDocumentOf(crypto, "offer", takeover.document.payload.offer) : takeover;
  if (!offer.ok) return { ok: false, why: `the offer in the move is not valid (${offer.code})` };
  return { ok: true, serving: { server: lease.server, serverKey: lease.serverKey, channelKey: offer.document.payload.channelKey } };
}
