/** Who a customer or owner is in one market: its key, its party, and the market's pinned keys. */
import { partyIdOf, rootAccountOf, toHex, type Crypto, type Signer } from "@xenoservers/protocol";
import { channelKeyPair, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { MarketInfo } from "@xenoservers/protocol/link";
import type { MarketPins } from "@xenoservers/verify";

export interface Identity {
  party: string;
  account: string;
  signer: Signer;
  /** One key pair for all channels of this key's leases. */
  channelKey: ChannelKeyPair;
}

/** An identity from a 32-byte seed; `party` is given where the key is not the party's first root key. */
export function identityOf(seed: Uint8Array, party?: string, account?: string): Identity {
  const signer = createSigner(seed);
  const id = party ?? partyIdOf(nodeCrypto, signer.publicKey);
  const channelSecret = nodeCrypto.hmacSha256(seed, new TextEncoder().encode("xenoservers channel"));
  return { party: id, account: account ?? rootAccountOf(id), signer, channelKey: channelKeyPair(channelSecret) };
}

export const pinsOf = ({ origin, keys }: MarketInfo): MarketPins => ({ origin, keys });

/** What people compare by eye or over the phone before they trust a market's keys. */
export function fingerprintOf(crypto: Crypto, pins: MarketPins): string {
  const { purchaseOrders, checkpoints, receipts } = pins.keys;
  const digest = toHex(crypto.sha256(new TextEncoder().encode([pins.origin, purchaseOrders, checkpoints, receipts].join("\n"))));
  return digest.slice(0, 32).match(/.{4}/g)!.join(" ");
}
