/**
 * A promise that was not kept in its own epoch of the log (rule E4), or whose leaf a restore has lost (rule E5). Only what the log took
 * after the promise was given counts against it: an earlier document may bear any time, if a clock was set back.
 */
import {
  fromBase64,
  isOfKind,
  leafHash,
  parseDocument,
  parseUtf8,
  rootOfLeaves,
  bytesOfHex,
  toHex,
  verifyPromise,
  type Crypto,
  type EvidenceOf,
  type MarketPins,
} from "@xenoservers/protocol";
import { boundLeaves, checkpointBy, epochsOf } from "./epochs.ts";
import { citedCheckpoint, marketsRole, type Cited, type Finding } from "./finding.ts";

type Broken = EvidenceOf<"broken-promise">;

/** What a leaf says of itself; null where it is no leaf. */
function leafOf(leaf: Uint8Array): { at: number; document: unknown } | null {
  try {
    const value: unknown = JSON.parse(parseUtf8(leaf) ?? "");
    if (typeof value !== "object" || value === null || !("at" in value) || typeof value.at !== "number") return null;
    return { at: value.at, document: "document" in value ? value.document : null };
  } catch {
    return null;
  }
}

/** When the broker accepted the document behind a leaf. */
export const acceptedAt = (leaf: Uint8Array): number | null => leafOf(leaf)?.at ?? null;

/** Whether the broker itself signed the document behind a leaf, in this epoch: whatever was restored stands before it. */
function isOwnOf(crypto: Crypto, leaf: Uint8Array, epoch: string, markets: readonly MarketPins[]): boolean {
  const parsed = parseDocument(crypto, leafOf(leaf)?.document);
  if (!parsed.ok || isOfKind(parsed.document, "epoch")) return false;
  const { keyid, payload } = parsed.document;
  return payload.seen?.epoch === epoch && markets.some(({ keys }) => keys.receipts === keyid || keys.purchaseOrders === keyid);
}

export function brokenPromise(crypto: Crypto, evidence: Broken, markets: readonly MarketPins[]): Finding | null {
  const { promise, checkpoint, leaves, later, epochs } = evidence;
  const log = checkpointBy(crypto, markets, checkpoint);
  const leaf = fromBase64(later.leaf);
  if (!log || !leaf || log.checkpoint.size !== leaves.length || log.market.origin !== promise.origin) return null;
  const promised = markets.some(({ keys }) => verifyPromise(crypto, keys.receipts, promise));
  const isItsLog = toHex(rootOfLeaves(crypto, leaves.map(bytesOfHex))) === log.checkpoint.root;
  if (!promised || !isItsLog || toHex(leafHash(crypto, leaf)) !== leaves[later.index]) return null;
  const at = acceptedAt(leaf);
  if (at === null || leaves.slice(0, later.index).includes(promise.leaf)) return null;
  const promiseCited: Cited = { kind: "promise", id: promise.leaf, by: marketsRole(markets, promise.keyid) ?? "", key: promise.keyid };
  const documents = [promiseCited, citedCheckpoint(log.checkpoint.root, log.key)];
  if (log.epoch !== promise.epoch) {
    const isLater = boundLeaves(epochsOf(crypto, markets, epochs), promise.epoch, log.epoch) !== null;
    if (!isLater || !isOwnOf(crypto, leaf, log.epoch, markets)) return null;
    const restored = `has lost it in its restore to ${log.epoch}`;
    const says = `the broker promised a leaf in epoch ${promise.epoch} and ${restored}: it is void, and its debt`;
    return { rule: "E5", says, documents, only: null };
  }
  if (at <= promise.mergeBy || later.index < Math.max(1, promise.size)) return null;
  const where = leaves.includes(promise.leaf) ? "logged it after" : "did not log it before";
  const says = `the broker promised a leaf by ${promise.mergeBy} and ${where} what it accepted at ${at}: it drops or backdates documents`;
  return { rule: "E4", says, documents, only: null };
}
