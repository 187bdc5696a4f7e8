/**
 * For tests: a broker on the in-memory store, spoken to over HTTP and links by every kind of key, with leases of several accounts, labels
 * and servers.
 */
import { randomBytes } from "node:crypto";
import { DEFAULT_TIMINGS, EMPTY_BYTES_DIGEST, ROLE_SCOPES, invariant, type KeyRole, type Scope } from "@xenoservers/market";
import {
  partyIdOf,
  rootAccountOf,
  serverIdOf,
  signDocument,
  toHex,
  type Kind,
  type MarketPins,
  type Payload,
  type Signer,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { systemTimers } from "@xenoservers/protocol/link";
import type { FastifyInstance } from "fastify";
import { pino } from "pino";
import { MARKET_DEFAULTS, type BrokerKeys } from "../config.ts";
import { Desk } from "../desk/desk.ts";
import { describeMarket } from "../desk/market-info.ts";
import { OfferIndex } from "../desk/offer-index.ts";
import { WaitingOrders } from "../desk/waiting-orders.ts";
import type { Services } from "../desk/round.ts";
import { LogView } from "../log/log-view.ts";
import { startEpoch } from "../log/sequencer.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { Door, type DoorOptions } from "./door.ts";
import { EventFeed } from "./event-feed.ts";
import { memoryHints } from "../hints/memory-hints.ts";
import { LinkHub } from "./link-hub.ts";
import type { PageSource } from "./page-files.ts";
import { createReads } from "./reads.ts";
import { createHttpServer } from "./server.ts";
import { Sessions } from "./sessions.ts";

export const DIGEST = "ab".repeat(32);
export const newSigner = (): Signer => createSigner(randomBytes(32));
export const newId = (): string => toHex(randomBytes(16));

export interface Party {
  id: string;
  account: string;
  root: Signer;
}

export interface Server {
  id: string;
  owner: Party;
  key: Signer;
}

export type Given = Partial<Omit<Payload<"key-grant">, "origin" | "seen" | "party" | "key" | "role">>;

export class World {
  now = 1_800_000_000_000;
  readonly operator = newSigner();
  readonly store: Store = createMemoryStore(() => this.now);
  readonly services: Services;
  readonly desk: Desk;
  readonly sessions: Sessions;
  readonly hub: LinkHub;
  readonly feed: EventFeed;
  /** What was told of faults. */
  readonly faults: object[] = [];
  /** How long each request took, in seconds, as it is counted. */
  readonly took: number[] = [];
  #app: FastifyInstance | null = null;
  /** Addresses of proxies, set before it starts. */
  trustProxy: string[] = [];
  pages: string[] = [];
  page: PageSource | null = null;

  constructor(store?: Store, door: DoorOptions = {}) {
    if (store) this.store = store;
    const keys: BrokerKeys = { purchaseOrders: newSigner(), checkpoints: newSigner(), receipts: newSigner(), secret: randomBytes(32) };
    const market: MarketPins = {
      origin: "test/market",
      keys: { purchaseOrders: keys.purchaseOrders.publicKey, checkpoints: keys.checkpoints.publicKey, receipts: keys.receipts.publicKey },
      operatorKey: this.operator.publicKey,
    };
    const config = { ...MARKET_DEFAULTS, origin: market.origin, operatorKey: market.operatorKey };
    this.services = {
      store: this.store,
      crypto: nodeCrypto,
      keys,
      config,
      market,
      index: new OfferIndex(),
      waiting: new WaitingOrders(),
      log: new LogView(),
      now: () => this.now,
    };
    this.sessions = new Sessions(this.services);
    this.hub = new LinkHub(
      () => this.desk,
      this.sessions,
      () => describeMarket(this.services),
      systemTimers,
      {
        door: new Door(systemTimers, { requestsPerSecond: 100_000, ...door }),
        failed: (what, error, facts) => void this.faults.push({ what, error, ...facts }),
      },
    );
    const failed = (error: unknown): never => {
      throw error;
    };
    this.feed = new EventFeed({ store: this.store, hints: memoryHints(), failed, deaf: failed });
    this.desk = new Desk(this.services, {
      toServer: (server, filed) => this.hub.toServer(server, filed),
      event: (event) => {
        this.hub.event(event);
        this.feed.announce();
      },
      keyRevoked: (key) => this.hub.keyRevoked(key),
    });
  }

  async start(): Promise<void> {
    await startEpoch(this.services, null, "test");
    this.#app = await createHttpServer({
      desk: this.desk,
      reads: createReads(this.services, () => describeMarket(this.services)),
      sessions: this.sessions,
      hub: this.hub,
      feed: this.feed,
      logger: pino({ level: "silent" }),
      faults: { failed: (what, error, facts) => void this.faults.push({ what, error, ...facts }) },
      version: "test",
      trustProxy: this.trustProxy,
      pages: this.pages,
      page: this.page,
      notReady: async () => null,
      count: (_route, _code, seconds) => void this.took.push(seconds),
    });
  }

  get app(): FastifyInstance {
    invariant(this.#app, "the world has started");
    return this.#app;
  }

  async close(): Promise<void> {
    await this.#app?.close();
    await this.feed.close();
  }

  /** Time in which this broker hears. */
  async pass(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end;) {
      this.now = Math.min(end, this.now + 1_000);
      await this.desk.hear();
    }
    await this.desk.runTimers();
  }

  sign<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">) {
    return signDocument(nodeCrypto, signer, kind, { origin: this.services.market.origin, seen: null, ...payload } as unknown as Payload<K>);
  }

  /** The answer, or the refusal's code and facts. */
  async act<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<Record<string, unknown>> {
    const answer = await this.desk.submit(this.sign(signer, kind, payload).envelope);
    return answer.ok ? answer.answer : { code: answer.code, ...answer.facts };
  }

  /** As act, where a refusal is the test's own mistake. */
  async must<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<Record<string, unknown>> {
    const answer = await this.act(signer, kind, payload);
    invariant(answer["code"] === undefined, `${kind}: ${JSON.stringify(answer)}`);
    return answer;
  }

  async party(credit = 0n): Promise<Party> {
    const root = newSigner();
    const id = partyIdOf(nodeCrypto, root.publicKey);
    await this.must(root, "party", { party: id, name: "p", rootKey: root.publicKey, recoveryKey: null });
    if (credit > 0n) {
      const terms = { source: "operator", reference: "", clientId: newId() } as const;
      await this.must(this.operator, "credit", { party: id, amountNanos: credit.toString(), ...terms });
    }
    return { id, account: rootAccountOf(id), root };
  }

  grantOf(party: Party, key: string, role: Exclude<KeyRole, "root">, over: Given = {}) {
    const scopes: Scope[] = [...ROLE_SCOPES[role]];
    return {
      party: party.id,
      key,
      role,
      label: role,
      scopes,
      account: null,
      leaseLabel: null,
      maxSpendPerDayNanos: null,
      expiresAt: null,
      ...over,
    };
  }

  async key(party: Party, role: Exclude<KeyRole, "root">, over: Given = {}): Promise<Signer> {
    const signer = newSigner();
    await this.must(party.root, "key-grant", this.grantOf(party, signer.publicKey, role, over));
    return signer;
  }

  offerOf({ id, owner }: Server, over: Partial<Payload<"offer">> = {}): Omit<Payload<"offer">, "origin" | "seen"> {
    return {
      ...{
        owner: owner.id,
        server: id,
        sequence: 1,
        validUntil: this.now + 600_000,
        resources: { vcpu: 16, memoryMib: 8192, diskMib: 8192 },
      },
      ...{
        drivers: ["wasm"],
        assurances: ["isolated"],
        labels: {},
        maxLeaseMs: 3_600_000,
        cpuScore: 1,
        sandbox: "strong",
        accel: "none",
        vmScore: 0,
      },
      price: {
        vcpuNanosPerSecond: "1000",
        memoryGibNanosPerSecond: "0",
        diskGibNanosPerSecond: "0",
        gigaFuelNanos: "600",
        egressGibNanos: "0",
      },
      ...{
        limits: "process",
        holds: {},
        fetches: false,
        vmEngine: "",
        egress: "none",
        allowedParties: [],
        engine: "e",
        feeBasisPointsMax: 0,
      },
      ...{ timings: DEFAULT_TIMINGS, channelKey: DIGEST, ...over },
    };
  }

  /** A key, and the server that it will be. */
  newServer(): { id: string; key: Signer } {
    const key = newSigner();
    return { id: serverIdOf(nodeCrypto, key.publicKey), key };
  }

  /** A listed server that is online, whether or not it has a link. */
  async server(owner: Party, over: Partial<Payload<"offer">> = {}): Promise<Server> {
    const key = await this.key(owner, "server");
    const server = { id: serverIdOf(nodeCrypto, key.publicKey), owner, key };
    await this.must(key, "offer", this.offerOf(server, over));
    this.services.index.setOnline(server.id, true);
    return server;
  }

  /** An offer holds for a while only. */
  async renew(server: Server): Promise<void> {
    const known = (await this.store.load("server", [server.id])).get(server.id)?.data.sequence ?? 0;
    await this.must(server.key, "offer", this.offerOf(server, { sequence: known + 1 }));
  }

  orderOf(party: Party, over: Partial<Payload<"order">> = {}): Omit<Payload<"order">, "origin" | "seen"> {
    return {
      ...{
        party: party.id,
        account: party.account,
        batch: null,
        clientId: newId(),
        jobHash: DIGEST,
        segment: false,
        judges: null,
        driver: "wasm",
        accel: "any",
      },
      ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, conditions: [], assurance: "isolated" },
      ...{
        terms: "by-interval",
        on: "market",
        maxPriceNanosPerHour: null,
        durationMsMax: 60_000,
        fuelMax: "1000000000000",
        budgetNanos: "1000000",
      },
      ...{
        replicas: 1,
        expiresAt: this.now + 60_000,
        label: "",
        feeBasisPointsMax: 0,
        timings: DEFAULT_TIMINGS,
        channelKey: DIGEST,
        auditSalt: DIGEST,
        ...over,
      },
    };
  }

  /** An open lease on this server. */
  async lease(
    party: Party,
    { id, key }: Server,
    over: Partial<Payload<"order">> = {},
    signer = party.root,
  ): Promise<{ lease: string; order: string }> {
    const conditions: Payload<"order">["conditions"] = [{ key: "server", op: "=", value: id }];
    const { lease, order } = await this.must(signer, "order", this.orderOf(party, { conditions, ...over }));
    await this.must(key, "acceptance", { lease: String(lease), server: id });
    return { lease: String(lease), order: String(order) };
  }

  async row(lease: string) {
    const row = (await this.store.load("lease", [lease])).get(lease)?.data;
    invariant(row, "the lease is there");
    return row;
  }

  /** What the server says when the job has run to its end with something to deliver. */
  async resultOf(lease: string, server: Server): Promise<Omit<Payload<"result">, "origin" | "seen">> {
    const row = await this.row(lease);
    return {
      ...{ lease, server: server.id, jobHash: DIGEST, engine: "e", incarnation: 1, reason: "completed", exitCode: 0 },
      ...{ usedMs: 1_000, egressBytes: 0 },
      ...{
        lastClaim: row.lastClaim?.id ?? row.openingId ?? "",
        fuel: "1000000",
        fuelMax: row.fuelMax,
        memoryHash: DIGEST,
        outputDigest: DIGEST,
      },
      ...{ stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST, stateRoot: null, nonce: DIGEST, detail: "" },
    };
  }
}
