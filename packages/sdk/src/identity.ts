/** Who a customer or owner is in one market: its key, its party, what the key may do, and the market's pinned keys. */
import { ROLE_SCOPES, type Scope } from "@xenoservers/market";
import { partyIdOf, rootAccountOf, toHex, utf8, type Signer } from "@xenoservers/protocol";
import { channelKeyPair, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, systemCrypto } from "@xenoservers/protocol/system";

export interface Identity {
  party: string;
  /** The account that orders are paid from unless another is named. */
  account: string;
  signer: Signer;
  /** One key pair for all channels of this key's leases. */
  channelKey: ChannelKeyPair;
  /** Those of root keys that this one took the place of: leases that they ordered are still its own. */
  formerChannelKeys: readonly ChannelKeyPair[];
  /** What the key was granted, as far as is known here; the market decides. */
  scopes: readonly Scope[];
  /** The only label of leases that the key acts on; null: any. */
  leaseLabel: string | null;
}

/** What a key is where it is not its party's first root key. `formerChannelSecrets`: of channelSecretOf, of the seeds before this one. */
type Delegation = Partial<Pick<Identity, "party" | "account" | "scopes" | "leaseLabel"> & { formerChannelSecrets: readonly Uint8Array[] }>;

export const channelSecretOf = (seed: Uint8Array): Uint8Array => systemCrypto.hmacSha256(seed, utf8("xenoservers channel"));

/** An identity from a 32-byte seed. */
export function identityOf(seed: Uint8Array, delegation: Delegation = {}): Identity {
  const { party, account, scopes = ROLE_SCOPES.root, leaseLabel = null, formerChannelSecrets = [] } = delegation;
  const signer = createSigner(seed);
  const id = party ?? partyIdOf(systemCrypto, signer.publicKey);
  const [channelKey, formerChannelKeys] = [channelKeyPair(channelSecretOf(seed)), formerChannelSecrets.map(channelKeyPair)];
  return { party: id, account: account ?? rootAccountOf(id), signer, channelKey, formerChannelKeys, scopes, leaseLabel };
}

/** The key pair for the channel of an order that names this key; null: another of the party's keys ordered it. */
export const channelKeyFor = ({ channelKey, formerChannelKeys }: Identity, named: string): ChannelKeyPair | null =>
  [channelKey, ...formerChannelKeys].find(({ publicKey }) => toHex(publicKey) === named) ?? null;
