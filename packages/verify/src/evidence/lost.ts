/**
 * What a restore has lost (rule E5): leaves of a checkpoint that the broker signed, and that the epoch it has declared since does not have.
 * No lie, for it says so itself; what stood there is void, and its debt to whoever it was promised.
 */
import { cosignatureOf, isOfKind, parseDocument, type Crypto, type EvidenceOf, type MarketPins, type Witness } from "@xenoservers/protocol";
import { boundLeaves, checkpointBy, epochsOf, type EpochDocument } from "./epochs.ts";
import { citedCheckpoint, citedDocument, marketsRole, type Finding } from "./finding.ts";

/** Whom the operator has named. */
function witnessesOf(crypto: Crypto, markets: readonly MarketPins[], envelopes: readonly unknown[]): Witness[] {
  return envelopes.flatMap((envelope) => {
    const parsed = parseDocument(crypto, envelope);
    if (!parsed.ok || !isOfKind(parsed.document, "witness")) return [];
    const { keyid, payload } = parsed.document;
    const isNamed = markets.some(({ origin, operatorKey }) => origin === payload.origin && operatorKey === keyid) && payload.active;
    return isNamed ? [{ name: payload.name, key: payload.key }] : [];
  });
}

const epochsBefore = (epochs: ReadonlyMap<string, EpochDocument>, epoch: string): string[] =>
  [...epochs.values()]
    .flatMap(({ payload: { epoch: id, previous } }) => [id, ...(previous ? [previous.epoch] : [])])
    .filter((each) => boundLeaves(epochs, each, epoch) !== null);

/** How many of an epoch's leaves another has; null where it is no later one, nor one beside it after the same. */
function keptOf(epochs: ReadonlyMap<string, EpochDocument>, of: string, within: string): number | null {
  const kept = boundLeaves(epochs, of, within);
  if (kept !== null) return kept;
  if (boundLeaves(epochs, within, of) !== null) return null;
  const before = new Set(epochsBefore(epochs, of));
  return epochsBefore(epochs, within).some((each) => before.has(each)) ? 0 : null;
}

export function lost(crypto: Crypto, evidence: EvidenceOf<"loss">, markets: readonly MarketPins[]): Finding | null {
  const log = checkpointBy(crypto, markets, evidence.checkpoint);
  const [successor] = epochsOf(crypto, markets, [evidence.epoch]).values();
  if (!log || !successor) return null;
  const epochs = epochsOf(crypto, markets, [...evidence.epochs, evidence.epoch]);
  const { size, root } = log.checkpoint;
  const kept = keptOf(epochs, log.epoch, successor.payload.epoch);
  if (kept === null || kept >= size) return null;
  const cosigned = witnessesOf(crypto, markets, evidence.witnesses).filter((each) => cosignatureOf(crypto, each, evidence.checkpoint));
  const word =
    cosigned.length > 0 ? `, cosigned by ${cosigned.map(({ name }) => name).join(", ")}` : ", cosigned by no witness named in it";
  const says =
    `the broker lost ${size - kept} leaves that it had signed${word}: of the ${size} of epoch ${log.epoch} it has restored ${kept} ` +
    `in epoch ${successor.payload.epoch}; what stood there from leaf ${kept} on is void by its own word, and its debt`;
  return {
    ...{ rule: "E5", says, only: null },
    documents: [citedCheckpoint(root, log.key), citedDocument(successor, marketsRole(markets, successor.keyid))],
  };
}
