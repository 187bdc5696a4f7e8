/** Who a customer or owner is in one market: its key, its party, what the key may do, and the market's pinned keys. */
import { ROLE_SCOPES, type Scope } from "@xenoservers/market";
import { partyIdOf, rootAccountOf, toHex, utf8, type Crypto, type MarketPins, type Signer } from "@xenoservers/protocol";
import { channelKeyPair, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";

export interface Identity {
  party: string;
  /** The account that orders are paid from unless another is named. */
  account: string;
  signer: Signer;
  /** One key pair for all channels of this key's leases. */
  channelKey: ChannelKeyPair;
  /** What the key was granted, as far as is known here; the market decides. */
  scopes: readonly Scope[];
  /** The only label of leases that the key acts on; null: any. */
  leaseLabel: string | null;
}

/** What a key is where it is not its party's first root key. */
type Delegation = Partial<Pick<Identity, "party" | "account" | "scopes" | "leaseLabel">>;

/** An identity from a 32-byte seed. */
export function identityOf(seed: Uint8Array, { party, account, scopes = ROLE_SCOPES.root, leaseLabel = null }: Delegation = {}): Identity {
  const signer = createSigner(seed);
  const id = party ?? partyIdOf(nodeCrypto, signer.publicKey);
  const channelKey = channelKeyPair(nodeCrypto.hmacSha256(seed, utf8("xenoservers channel")));
  return { party: id, account: account ?? rootAccountOf(id), signer, channelKey, scopes, leaseLabel };
}

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
