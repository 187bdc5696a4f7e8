/**
 * The epochs of a market's log: each names the one that it follows and how much of it was restored. What an epoch has up to there binds in
 * all that follow; what stood later in it is void and lost, by the broker's own word. Who controls the inputs: the broker (each document);
 * whoever hands them over (which of them).
 */
import {
  isOfKind,
  leafHashOf,
  parseDocument,
  parseLogOrigin,
  verifyCheckpoint,
  verifyInclusion,
  verifySigner,
  bytesOfHex,
  type AnyDocument,
  type Checkpoint,
  type Crypto,
  type MarketPins,
  type Place,
  type SignedDocument,
} from "@xenoservers/protocol";

export type EpochDocument = SignedDocument<"epoch">;

/** The epoch documents that a key of these signed. */
export function epochsOf(crypto: Crypto, markets: readonly MarketPins[], envelopes: readonly unknown[]): Map<string, EpochDocument> {
  const epochs = new Map<string, EpochDocument>();
  for (const envelope of envelopes) {
    const parsed = parseDocument(crypto, envelope);
    if (!parsed.ok || !isOfKind(parsed.document, "epoch")) continue;
    const { document } = parsed;
    if (markets.some((market) => verifySigner(document, { crypto, market, key: null, at: 0 }).ok))
      epochs.set(document.payload.epoch, document);
  }
  return epochs;
}

/**
 * How many leaves of one epoch bind in another: those that were restored of it, on the way from the one to the other; of itself, all. Null
 * where it does not come before, as far as is known.
 */
export function boundLeaves(epochs: ReadonlyMap<string, EpochDocument>, of: string, within: string): number | null {
  if (of === within) return Number.MAX_SAFE_INTEGER;
  const visited = new Set<string>();
  for (let at = within; !visited.has(at);) {
    visited.add(at);
    const previous = epochs.get(at)?.payload.previous;
    if (!previous) return null;
    if (previous.epoch === of) return previous.size;
    at = previous.epoch;
  }
  return null;
}

/** The checkpoint that a log key of these signed for a log of its market. */
export function checkpointBy(
  crypto: Crypto,
  markets: readonly MarketPins[],
  note: string,
): { checkpoint: Checkpoint; epoch: string; key: string; market: MarketPins } | null {
  for (const market of markets) {
    const key = market.keys.checkpoints;
    const checkpoint = verifyCheckpoint(crypto, key, note);
    const log = checkpoint && parseLogOrigin(checkpoint.origin);
    if (checkpoint && log?.market === market.origin) return { checkpoint, epoch: log.epoch, key, market };
  }
  return null;
}

/** The epoch and index at which the broker's signed log has a document; null where this does not show it. */
export function placed(
  crypto: Crypto,
  markets: readonly MarketPins[],
  document: AnyDocument,
  { checkpoint: note, at, salt, index, proof }: Place,
): { epoch: string; index: number } | null {
  const signed = checkpointBy(crypto, markets, note);
  if (!signed || !/^([0-9a-f]{64})?$/.test(salt)) return null;
  const { size, root } = signed.checkpoint;
  const leaf = bytesOfHex(leafHashOf(crypto, document, at, salt));
  const isThere = verifyInclusion(crypto, leaf, index, size, proof.map(bytesOfHex), bytesOfHex(root));
  return isThere ? { epoch: signed.epoch, index } : null;
}
