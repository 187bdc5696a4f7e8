/** A desk on the in-memory store with a clock set by hand, a few parties and a listed server: for tests of single rules. */
import { randomBytes } from "node:crypto";
import { DEFAULT_TIMINGS, ROLE_SCOPES } from "@xenoservers/market";
import {
  signDocument,
  toHex,
  serverIdOf,
  type AnyDocument,
  type Envelope,
  type Kind,
  type MarketPins,
  type Payload,
  type SignedDocument,
} from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { identityOf, type Identity } from "@xenoservers/sdk";
import {
  Desk,
  LogView,
  MARKET_DEFAULTS,
  OfferIndex,
  WaitingOrders,
  createMemoryStore,
  startEpoch,
  type BrokerKeys,
  type FiledEnvelope,
  type LeaseRow,
  type Store,
} from "@xenoservers/xenocorp/parts";

export type Signer = Identity["signer"];

export interface ServerParty {
  owner: Identity;
  signer: Signer;
  id: string;
  offer(over?: Partial<Payload<"offer">>): SignedDocument<"offer">;
}

export class Harness {
  now = 1_800_000_000_000;
  readonly crypto = nodeCrypto;
  readonly operator = createSigner(randomBytes(32));
  readonly keys: BrokerKeys = {
    purchaseOrders: createSigner(randomBytes(32)),
    checkpoints: createSigner(randomBytes(32)),
    receipts: createSigner(randomBytes(32)),
    secret: randomBytes(32),
  };
  readonly origin = "test/market";
  readonly market: MarketPins = {
    origin: this.origin,
    keys: {
      purchaseOrders: this.keys.purchaseOrders.publicKey,
      checkpoints: this.keys.checkpoints.publicKey,
      receipts: this.keys.receipts.publicKey,
    },
    operatorKey: this.operator.publicKey,
  };
  readonly store: Store = createMemoryStore(() => this.now);
  readonly index = new OfferIndex();
  readonly waiting = new WaitingOrders();
  readonly sent: { server: string; filed: readonly FiledEnvelope[] }[] = [];
  readonly cut: string[] = [];
  /** Changes that the store could not hold, as the operator is told of them. */
  readonly refused: string[] = [];
  /** Parties' first documents and grants, as they were signed. */
  readonly grants: Envelope[] = [];
  readonly desk = new Desk(
    {
      store: this.store,
      crypto: nodeCrypto,
      keys: this.keys,
      config: { ...MARKET_DEFAULTS, origin: this.origin, operatorKey: this.operator.publicKey },
      market: this.market,
      index: this.index,
      waiting: this.waiting,
      log: new LogView(),
      now: () => this.now,
    },
    {
      toServer: (server, filed) => void this.sent.push({ server, filed }),
      event: () => {},
      keyRevoked: (key) => void this.cut.push(key),
      refused: (change) => void this.refused.push(change),
    },
  );

  static async open(): Promise<Harness> {
    const harness = new Harness();
    await startEpoch(harness.desk.services, null, "test");
    return harness;
  }

  sign<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">, origin = this.origin): SignedDocument<K> {
    return signDocument(nodeCrypto, signer, kind, { origin, seen: null, ...payload } as unknown as Payload<K>);
  }

  /** The answer, or the refusal's code and facts. */
  async submit(document: SignedDocument | AnyDocument, waits = false): Promise<Record<string, unknown> & { code?: string }> {
    const answer = await this.desk.submit(structuredClone(document.envelope), undefined, waits);
    return answer.ok ? answer.answer : { code: answer.code, ...answer.facts };
  }

  async act<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">) {
    const document = this.sign(signer, kind, payload);
    if (kind === "party" || kind === "key-grant") this.grants.push(document.envelope);
    return this.submit(document);
  }

  id(): string {
    return toHex(randomBytes(16));
  }

  async party(credit = 0n): Promise<Identity> {
    const identity = identityOf(randomBytes(32));
    await this.act(identity.signer, "party", { party: identity.party, name: "p", rootKey: identity.signer.publicKey, recoveryKey: null });
    if (credit > 0n)
      await this.act(this.operator, "credit", {
        party: identity.party,
        amountNanos: credit.toString(),
        source: "operator",
        reference: "",
        clientId: this.id(),
      });
    return identity;
  }

  /** Grants a key all that its role may do, or what `over` says. */
  grant(party: Identity, key: string, role: Payload<"key-grant">["role"], over: Partial<Payload<"key-grant">> = {}, signer = party.signer) {
    return this.act(signer, "key-grant", {
      ...{ party: party.party, key, role, label: role, scopes: [...ROLE_SCOPES[role]], account: null, leaseLabel: null },
      ...{ maxSpendPerDayNanos: null, expiresAt: null },
      ...over,
    });
  }

  async server(over: Partial<Payload<"offer">> = {}): Promise<ServerParty> {
    const owner = await this.party();
    const signer = createSigner(randomBytes(32));
    const id = serverIdOf(nodeCrypto, signer.publicKey);
    await this.grant(owner, signer.publicKey, "server");
    const offer = (more: Partial<Payload<"offer">> = {}) =>
      this.sign(signer, "offer", {
        owner: owner.party,
        server: id,
        sequence: 1,
        validUntil: this.now + 600_000,
        resources: { vcpu: 2, memoryMib: 1024, diskMib: 1024 },
        drivers: ["wasm"],
        assurances: ["isolated"],
        labels: {},
        price: {
          vcpuNanosPerSecond: "1000",
          memoryGibNanosPerSecond: "0",
          diskGibNanosPerSecond: "0",
          gigaFuelNanos: "600",
          egressGibNanos: "0",
        },
        maxLeaseMs: 3_600_000,
        cpuScore: 1,
        sandbox: "strong",
        accel: "none",
        vmScore: 0,
        limits: "process",
        holds: {},
        fetches: false,
        vmEngine: "",
        egress: "none",
        allowedParties: [],
        engine: "e",
        feeBasisPointsMax: 1_000,
        timings: DEFAULT_TIMINGS,
        channelKey: toHex(channelKeyPair().publicKey),
        ...over,
        ...more,
      });
    await this.submit(offer());
    this.index.setOnline(id, true);
    return { owner, signer, id, offer };
  }

  order(customer: Identity, over: Partial<Payload<"order">> = {}, signer = customer.signer): SignedDocument<"order"> {
    return this.sign(signer, "order", {
      party: customer.party,
      account: customer.account,
      batch: null,
      clientId: this.id(),
      jobHash: "ab".repeat(32),
      segment: false,
      judges: null,
      driver: "wasm",
      accel: "any",
      egress: "none",
      egressMibMax: 0,
      resources: { vcpu: 1, memoryMib: 64, diskMib: 1 },
      conditions: [],
      assurance: "isolated",
      terms: "by-interval",
      on: "market",
      maxPriceNanosPerHour: null,
      durationMsMax: 60_000,
      fuelMax: "1000000000000",
      budgetNanos: "1000000",
      replicas: 1,
      expiresAt: this.now + 60_000,
      label: "",
      auditSalt: "5a".repeat(32),
      feeBasisPointsMax: 1_000,
      timings: DEFAULT_TIMINGS,
      channelKey: toHex(customer.channelKey.publicKey),
      ...over,
    });
  }

  async lease(id: string): Promise<LeaseRow> {
    return (await this.store.load("lease", [id])).get(id)!.data;
  }

  async balance(key: string): Promise<bigint> {
    return (await this.store.balances([key])).get(key) ?? 0n;
  }

  /** Time goes by, and a broker hears all the while. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(this.now + 1_000, end);
      await this.desk.hear();
    }
  }

  async later(ms: number): Promise<void> {
    await this.pass(ms);
    await this.desk.runTimers();
  }

  accept(server: ServerParty, lease: string) {
    return this.act(server.signer, "acceptance", { lease, server: server.id });
  }
}
