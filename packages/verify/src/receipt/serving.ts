/**
 * Which server has a lease, by its receipt: who signs for it from now on, and by which key it is reached. By the fold alone: a move that
 * does not follow from what both servers of its owner signed brings nobody to another server. Of a receipt without its claims, what the
 * last one was before a move is the word of the server that handed the lease over. Who controls the input: whoever hands over the file.
 */
import { FACT_KINDS, isFactKind, type FactKind } from "@xenoservers/market";
import { parseDocumentOf, type Crypto, type MarketPins, type Receipt } from "@xenoservers/protocol";
import { CHECKS, CHECK_OF } from "./lines.ts";
import { inLogOrder, openDocuments } from "./opened.ts";
import { tell } from "./told.ts";

export interface Serving {
  server: string;
  serverKey: string;
  channelKey: string;
}

/** What a move rests on, but for claims. */
const MOVES: readonly FactKind[] = FACT_KINDS.filter((kind) => CHECKS.indexOf(CHECK_OF[kind]) < CHECKS.indexOf("result"));

type ServingResult = { ok: true; serving: Serving | null } | { ok: false; why: string };

/** Null: the lease is where it began. */
export function servingOf(crypto: Crypto, pins: MarketPins, receipt: Receipt): ServingResult {
  const opened = openDocuments(crypto, receipt);
  if (!opened.ok) return opened;
  const entries = inLogOrder(opened.entries);
  const isBrief = receipt.hasMore === true;
  const told = tell(
    crypto,
    pins,
    isBrief ? entries.filter(({ document: { kind } }) => !isFactKind(kind) || MOVES.includes(kind)) : entries,
    isBrief,
  );
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
