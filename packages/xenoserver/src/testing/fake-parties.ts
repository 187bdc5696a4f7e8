/** Who signs in this package's tests: a broker's keys, an operator, an owner with a server, and a customer, all made of numbers. */
import { invariant } from "@xenoservers/market";
import {
  KeyBook,
  parseDocument,
  partyIdOf,
  signDocument,
  type Envelope,
  type Kind,
  type MarketPins,
  type Payload,
  type SignedDocument,
  type Signer,
} from "@xenoservers/protocol";
import { channelKeyPair, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { FactWorld } from "@xenoservers/verify";

const crypto = nodeCrypto;

/** What is signed without its market's name, which stands in every document. */
export type Said<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;

export interface FakeParty {
  party: string;
  signer: Signer;
  channelKey: ChannelKeyPair;
  grants: Envelope[];
}

export class FakeParties {
  readonly origin = "test/market";
  readonly keys = { purchaseOrders: this.#key(1), receipts: this.#key(2), checkpoints: this.#key(3) };
  readonly operator = this.#key(4);
  readonly pins: MarketPins;
  readonly owner: FakeParty;
  readonly customer: FakeParty;
  readonly serverSigner = this.#key(7);

  constructor() {
    const publicKeys = {
      purchaseOrders: this.keys.purchaseOrders.publicKey,
      checkpoints: this.keys.checkpoints.publicKey,
      receipts: this.keys.receipts.publicKey,
    };
    this.pins = { origin: this.origin, keys: publicKeys, operatorKey: this.operator.publicKey };
    this.owner = this.newParty(5);
    this.customer = this.newParty(6);
    this.owner.grants.push(this.grant(this.owner, this.serverSigner.publicKey, "server"));
  }

  #key(seed: number): Signer {
    return createSigner(new Uint8Array(32).fill(seed));
  }

  sign<K extends Kind>(signer: Signer, kind: K, said: Said<K>): SignedDocument<K> {
    // every payload is what was said and the market's name
    return signDocument(crypto, signer, kind, { origin: this.origin, seen: null, ...said } as unknown as Payload<K>);
  }

  newParty(seed: number): FakeParty {
    const signer = this.#key(seed);
    const party = partyIdOf(crypto, signer.publicKey);
    const { envelope } = this.sign(signer, "party", { party, name: `party ${seed}`, rootKey: signer.publicKey, recoveryKey: null });
    return { party, signer, channelKey: channelKeyPair(new Uint8Array(32).fill(seed)), grants: [envelope] };
  }

  grant({ party, signer }: FakeParty, key: string, role: "server" | "device"): Envelope {
    const scopes = role === "server" ? (["serve", "dispute", "read"] as const) : (["spend", "control"] as const);
    return this.sign(signer, "key-grant", {
      ...{
        party,
        key,
        role,
        label: role,
        scopes: [...scopes],
        account: null,
        leaseLabel: null,
        maxSpendPerDayNanos: null,
        expiresAt: null,
      },
    }).envelope;
  }

  get grants(): Envelope[] {
    return [...this.owner.grants, ...this.customer.grants];
  }

  get world(): FactWorld {
    const book = new KeyBook(crypto, this.origin);
    for (const grant of this.grants) book.learn(grant, 0);
    return { crypto, market: this.pins, keyOf: book.keyOf };
  }

  documentId(envelope: Envelope): string {
    const parsed = parseDocument(crypto, envelope);
    invariant(parsed.ok, "it is a document");
    return parsed.document.id;
  }
}
