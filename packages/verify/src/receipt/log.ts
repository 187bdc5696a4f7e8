/**
 * Whether a receipt's documents are in the broker's log, each once, in the order of their times. Log facts stay claimed while too few
 * witnesses have cosigned the checkpoint. Who controls the inputs: the broker (checkpoint, proofs, times), witnesses (their lines).
 */
import {
  cosignatureOf,
  fromHex,
  parseLogOrigin,
  quorumOf,
  verifyCheckpoint,
  verifyInclusion,
  type AnyDocument,
  type Checkpoint,
  type Crypto,
  type MarketPins,
  type Receipt,
  type Witness,
} from "@xenoservers/protocol";
import { claimed, failed, firstWrong, proved, type Said } from "./line.ts";
import type { Entry } from "./opened.ts";

/**
 * Changes that were made at once by several brokers may be logged in another order than they were timed, by so much. A lease's own never
 * are.
 */
const LOG_RACE_MS = 60_000;

const NO_BYTES = new Uint8Array();

function isIncluded(crypto: Crypto, { root, size }: Checkpoint, { stored }: Entry): boolean {
  const proof = stored.proof.map((hash) => fromHex(hash) ?? NO_BYTES);
  return (
    stored.index !== null && verifyInclusion(crypto, fromHex(stored.leaf) ?? NO_BYTES, stored.index, size, proof, fromHex(root) ?? NO_BYTES)
  );
}

/** Whether times never go back; `entries` are in the log's order. */
function goesBack(entries: readonly Entry[], byMs: number): Entry | null {
  let latest = 0;
  for (const entry of entries) {
    if (entry.at + byMs < latest) return entry;
    latest = Math.max(latest, entry.at);
  }
  return null;
}

function orderProblem(entries: readonly Entry[]): string | null {
  const placed = entries.flatMap(({ index }) => index ?? []);
  if (new Set(placed).size !== placed.length) return "two documents have one place in the log";
  const own = entries.filter(({ isLeaf }) => !isLeaf);
  const backdated = goesBack(own, 0) ?? goesBack(entries, LOG_RACE_MS);
  return backdated && `the ${backdated.document.kind} document is timed before what the log has before it`;
}

/** Of the broker's own keys: who names no epoch could deny after a restore, or claim, what was said before it. */
const isBrokers = ({ keys }: MarketPins, { keyid }: AnyDocument): boolean => Object.values(keys).includes(keyid);

/** `entries` are in the log's order. */
export function checkLog(
  crypto: Crypto,
  pins: MarketPins,
  receipt: Receipt,
  entries: readonly Entry[],
  witnesses: readonly Witness[],
): Said {
  const wrongOrder = orderProblem(entries);
  if (wrongOrder !== null) return failed(wrongOrder);
  const waiting = entries.filter(({ index }) => index === null);
  if (waiting.some(({ stored }) => stored.proof.length > 0)) return failed("a document without a place in the log has a proof of it");
  const isEmpty = waiting.length === entries.length && receipt.checkpoint === "" && receipt.size === 0;
  if (isEmpty) return claimed("the log is still empty: nothing is in it yet");
  const checkpoint = verifyCheckpoint(crypto, pins.keys.checkpoints, receipt.checkpoint);
  if (!checkpoint) return failed("the checkpoint is not signed by the broker's pinned log key");
  const log = parseLogOrigin(checkpoint.origin);
  const nameless = entries.find(({ document }) => isBrokers(pins, document) && document.payload.seen === null);
  const outside = entries.find((entry) => entry.index !== null && !isIncluded(crypto, checkpoint, entry));
  const wrong = firstWrong([
    [log?.market === pins.origin && checkpoint.size === receipt.size, "the checkpoint is of another log or size"],
    [nameless === undefined, `the ${nameless?.document.kind} document does not say in which epoch of the log its broker signed it`],
    [outside === undefined, `the ${outside?.document.kind} document's proof does not lead to the checkpoint's root`],
  ]);
  if (wrong !== null) return failed(wrong);
  const kinds = [...new Set(waiting.map(({ document }) => document.kind))].join(", ");
  const rest = waiting.length > 0 ? `; ${waiting.length} not in the log yet: ${kinds}` : "";
  // one key under two names is one witness
  const keys = witnesses.filter((witness) => cosignatureOf(crypto, witness, receipt.checkpoint) !== null).map(({ key }) => key);
  const signed = new Set(keys).size;
  const cosigned = `${signed} of ${witnesses.length} pinned witnesses cosigned this checkpoint`;
  const by = witnesses.length === 0 ? "no witness is pinned here" : cosigned;
  const placed = `${entries.length - waiting.length} of ${entries.length} documents`;
  const earlier = entries.filter(({ document: { payload } }) => payload.seen !== null && payload.seen.epoch !== log?.epoch).length;
  const restored = earlier === 0 ? "" : `; ${earlier} are of epochs before the last restore`;
  const says = `${placed} are in the log of ${checkpoint.size} leaves${rest}${restored}; ${by}`;
  return witnesses.length > 0 && signed >= quorumOf(witnesses.length) && waiting.length === 0 ? proved(says) : claimed(says);
}
