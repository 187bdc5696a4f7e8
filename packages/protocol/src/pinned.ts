/** What a customer pins of a market, compared by programs and by people. */
import { toHex, utf8 } from "./bytes.ts";
import type { MarketPins } from "./documents/parts.ts";
import type { Crypto } from "./crypto.ts";

/** Everything that is pinned, in one order. */
const pinnedOf = ({ origin, keys, operatorKey }: MarketPins): string[] => [
  origin,
  keys.purchaseOrders,
  keys.checkpoints,
  keys.receipts,
  operatorKey,
];

export const samePins = (one: MarketPins, other: MarketPins): boolean => pinnedOf(one).join("\n") === pinnedOf(other).join("\n");

/** What people compare by eye or over the phone before they trust a market's keys. */
export function fingerprintOf(crypto: Crypto, pins: MarketPins): string {
  const digest = toHex(crypto.sha256(utf8(pinnedOf(pins).join("\n"))));
  return digest.slice(0, 32).replaceAll(/(.{4})(?=.)/g, "$1 ");
}
