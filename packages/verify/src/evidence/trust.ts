/**
 * By whose keys evidence is judged: the market's that this machine has pinned, or those that the file itself brings, and then it convicts
 * nobody: anyone can make keys. Who controls the inputs: whoever hands over the file; the pins are the verifier's own.
 */
import { isOfKind, parseDocument, type Crypto, type MarketPins } from "@xenoservers/protocol";

/** What a verifier knows for itself: its operator's key at least. */
export interface Trust {
  operatorKey: string;
  /** Absent: whatever market that operator runs. */
  origin?: string;
  keys?: MarketPins["keys"];
}

export interface Basis {
  /** Sets of the broker's keys, each in its operator's name. */
  markets: readonly MarketPins[];
  isPinned: boolean;
}

/** The sets of keys in these documents, each under the key that signed it. */
function keySetsOf(crypto: Crypto, origin: string, envelopes: readonly unknown[]): MarketPins[] {
  return envelopes.flatMap((envelope) => {
    const parsed = parseDocument(crypto, envelope);
    if (!parsed.ok || !isOfKind(parsed.document, "market-keys") || parsed.document.payload.origin !== origin) return [];
    return [{ origin, keys: parsed.document.payload.keys, operatorKey: parsed.document.keyid }];
  });
}

export function basisOf(crypto: Crypto, origin: string, keySets: readonly unknown[], trust: Trust | null): Basis {
  const brought = keySetsOf(crypto, origin, keySets);
  if (trust && (trust.origin ?? origin) === origin) {
    const { operatorKey, keys } = trust;
    const pinned = keys ? [{ origin, keys, operatorKey }] : [];
    return { markets: [...pinned, ...brought.filter((set) => set.operatorKey === operatorKey)], isPinned: true };
  }
  return { markets: brought.filter((set) => set.operatorKey === brought[0]?.operatorKey), isPinned: false };
}
