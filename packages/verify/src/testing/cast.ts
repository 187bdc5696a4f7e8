/**
 * Who plays in made-up markets: the keys of a broker, its operator, a customer, an owner, a referee and strangers, and where each key
 * has its role from.
 */
import { ROLE_SCOPES, type KeyRole } from "@xenoservers/market";
import { partyIdOf, rootAccountOf, serverIdOf, utf8, type Crypto, type MarketPins, type Signer } from "@xenoservers/protocol";

export const KEY_NAMES = [
  ...(["orders", "receipts", "checkpoints", "operator", "witness"] as const),
  ...(["customer", "customer-2", "recovery", "device", "ci"] as const),
  ...(["owner", "enrol", "server", "referee-owner", "referee", "referee-2", "stranger", "stranger-server", "server-2"] as const),
] as const;
export type KeyName = (typeof KEY_NAMES)[number];

export const BROKER: readonly KeyName[] = ["orders", "receipts", "checkpoints"];
export const CUSTOMER: readonly KeyName[] = ["customer", "customer-2", "recovery", "device", "ci"];
export const OWNER: readonly KeyName[] = ["owner", "enrol", "server", "server-2"];

export interface Tools {
  crypto: Crypto;
  createSigner(seed: Uint8Array): Signer;
}

export class Cast {
  readonly crypto: Crypto;
  readonly signers: Readonly<Record<KeyName, Signer>>;
  readonly pins: MarketPins;
  readonly customer: string;
  readonly owner: string;
  readonly refereeOwner: string;
  readonly stranger: string;
  readonly account: string;
  readonly server: string;
  /** Of the same owner. */
  readonly server2: string;
  readonly referee: string;
  readonly referee2: string;
  readonly strangerServer: string;

  constructor({ crypto, createSigner }: Tools, seed: number) {
    this.crypto = crypto;
    const signerOf = (name: KeyName): Signer => createSigner(crypto.sha256(utf8(`${name} ${seed}`)));
    const signers: Partial<Record<KeyName, Signer>> = {};
    for (const name of KEY_NAMES) signers[name] = signerOf(name);
    this.signers = signers as Record<KeyName, Signer>;
    const key = (name: KeyName): string => this.signers[name].publicKey;
    const keys = { purchaseOrders: key("orders"), checkpoints: key("checkpoints"), receipts: key("receipts") };
    this.pins = { origin: "test/market", keys, operatorKey: key("operator") };
    this.customer = partyIdOf(crypto, key("customer"));
    this.owner = partyIdOf(crypto, key("owner"));
    this.refereeOwner = partyIdOf(crypto, key("referee-owner"));
    this.stranger = partyIdOf(crypto, key("stranger"));
    this.account = rootAccountOf(this.customer);
    this.server = serverIdOf(crypto, key("server"));
    this.server2 = serverIdOf(crypto, key("server-2"));
    this.referee = serverIdOf(crypto, key("referee"));
    this.referee2 = serverIdOf(crypto, key("referee-2"));
    this.strangerServer = serverIdOf(crypto, key("stranger-server"));
  }

  key(name: KeyName): string {
    return this.signers[name].publicKey;
  }

  nameOf(key: string): KeyName | null {
    return KEY_NAMES.find((name) => this.signers[name].publicKey === key) ?? null;
  }
}

/** A grant of everything that the role may. */
export const grantOf = (party: string, key: string, role: Exclude<KeyRole, "root">) => ({
  ...{
    party,
    key,
    role,
    label: role,
    scopes: [...ROLE_SCOPES[role]],
    account: null,
    leaseLabel: null,
    maxSpendPerDayNanos: null,
    expiresAt: null,
  },
});
