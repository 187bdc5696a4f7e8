/** Two documents of one signer that contradict each other (rule E1), and one slot that was opened twice (rule E2). */
import { parseDocumentOf, type Crypto, type EvidenceOf, type MarketPins } from "@xenoservers/protocol";
import { clashIn, epochOf, knownSigners, type Accused, type Contradiction } from "./contradiction.ts";
import { boundLeaves, epochsOf, placed } from "./epochs.ts";
import { citedDocument, marketsRole, type Finding } from "./finding.ts";

const NOBODY = "";
/** Of a market that this machine does not know: no key is its broker's. */
const unknownMarket = (origin: string): MarketPins => ({
  origin,
  keys: { purchaseOrders: NOBODY, checkpoints: NOBODY, receipts: NOBODY },
  operatorKey: NOBODY,
});

const isParty = (who: Accused): boolean => who === "server" || who === "customer";
const NO_KEYS = "nothing in it shows whose key this is";

/** Whether what was said first still binds in the epoch of what was said later. */
function stillBinds(
  crypto: Crypto,
  markets: readonly MarketPins[],
  { documents: [one, other] }: Contradiction,
  { place, epochs: envelopes }: EvidenceOf<"contradiction">,
): boolean {
  const epochs = epochsOf(crypto, markets, envelopes);
  return (
    [
      [one, other],
      [other, one],
    ] as const
  ).some(([earlier, later]) => {
    const where = place && placed(crypto, markets, earlier, place);
    const within = epochOf(later);
    return where !== null && within !== null && where.index < (boundLeaves(epochs, where.epoch, within) ?? 0);
  });
}

function ofParty(crypto: Crypto, clash: Contradiction, { first, second, grants }: EvidenceOf<"contradiction">, market: MarketPins) {
  const known = knownSigners(crypto, market, grants);
  const key = known.keyOf(clash.signer);
  if (key && !clashIn(crypto, first, second, known)) return null;
  return { role: key && `a ${key.role} key of ${key.party}`, only: key ? null : NO_KEYS };
}

function ofMarket(crypto: Crypto, clash: Contradiction, { first, second }: EvidenceOf<"contradiction">, markets: readonly MarketPins[]) {
  if (markets.length === 0) return { role: null, only: NO_KEYS };
  const may = markets.some((market) => clashIn(crypto, first, second, { market, keyOf: () => null }));
  return may ? { role: marketsRole(markets, clash.signer), only: null } : null;
}

export function contradicted(crypto: Crypto, evidence: EvidenceOf<"contradiction">, markets: readonly MarketPins[]): Finding | null {
  const clash = clashIn(crypto, evidence.first, evidence.second);
  if (!clash) return null;
  const { kind, who, origin, signer, documents, acrossEpochs } = clash;
  const signed = isParty(who)
    ? ofParty(crypto, clash, evidence, markets[0] ?? unknownMarket(origin))
    : ofMarket(crypto, clash, evidence, markets);
  if (!signed || (acrossEpochs && !stillBinds(crypto, markets, clash, evidence))) return null;
  const whose = signed.role ?? `the key ${signer.slice(0, 16)}…`;
  const why = acrossEpochs ? " (the first still binds after the restore)" : "";
  return {
    ...{ rule: "E1", only: signed.only, documents: documents.map((document) => citedDocument(document, signed.role)) },
    says: `${whose} signed two documents of kind ${kind} where there may be one${why}: this ${who} cheats`,
  };
}

/** The documents of a slot that was sold; null where it is not what they say. */
function soldSlot(crypto: Crypto, order: unknown, opening: unknown) {
  const [po, opened] = [parseDocumentOf(crypto, "purchase-order", order), parseDocumentOf(crypto, "opening", opening)];
  return po.ok && opened.ok && opened.document.payload.lease === po.document.id ? { po: po.document, opened: opened.document } : null;
}

export function soldTwice(crypto: Crypto, { documents }: EvidenceOf<"sold-twice">, markets: readonly MarketPins[]): Finding | null {
  const [one, two] = [soldSlot(crypto, documents[0], documents[1]), soldSlot(crypto, documents[2], documents[3])];
  if (!one || !two || one.po.id === two.po.id) return null;
  const all = [one.po, one.opened, two.po, two.opened];
  const { origin, orderId, slot } = one.po.payload;
  const key = one.po.keyid;
  const isOneSlot = orderId === two.po.payload.orderId && slot === two.po.payload.slot;
  const isOneSigner = all.every(({ keyid, payload }) => keyid === key && payload.origin === origin);
  // what a restore has undone is sold anew
  const isOneEpoch = new Set(all.flatMap((document) => epochOf(document) ?? [])).size <= 1;
  const isMarkets = markets.length === 0 || markets.some(({ keys }) => keys.purchaseOrders === key);
  if (!isOneSlot || !isOneSigner || !isOneEpoch || !isMarkets) return null;
  const role = marketsRole(markets, key);
  return {
    ...{ rule: "E2", only: markets.length === 0 ? NO_KEYS : null, documents: all.map((document) => citedDocument(document, role)) },
    says: `${role ?? `the key ${key.slice(0, 16)}…`} opened two leases for one slot of an order: its broker cheats`,
  };
}
