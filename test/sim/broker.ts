/** The simulated market's broker: production desk, hub and reads on the in-memory store, audited after every commit; it can be killed and started again. */
import { WAITING_MAX } from "@xenoservers/market";
import { audit, type Network, type Random, type SimClock, type Snapshot } from "@xenoservers/testkit";
import { refuse, signDocument, toHex, type Crypto, type Kind, type MarketPins, type Payload, type Signer } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { createSigner } from "@xenoservers/protocol/node";
import { identityOf, type Identity } from "@xenoservers/sdk";
import {
  Desk,
  LinkHub,
  LogView,
  MARKET_DEFAULTS,
  OfferIndex,
  WaitingOrders,
  Sessions,
  createMemoryStore,
  createReads,
  describeMarket,
  dropOld,
  sequence,
  openLog,
  type BrokerKeys,
  type Change,
  type LeaseRow,
  type MarketConfig,
  type Reads,
  type Services,
  type Store,
} from "@xenoservers/xenocorp/parts";

const TIMERS_EVERY_MS = 500;
/** Longer than any fault lasts, and much shorter than a market is simulated: nothing but repetitions rests on what is dropped. */
const KEPT = { eventsMs: 300_000, answersMs: 300_000 };

export interface SimBrokerOptions {
  seed: number;
  random: Random;
  clock: SimClock;
  network: Network;
  crypto: Crypto;
  /** Changes every change before it is committed: how a canary breaks the market. */
  sabotage?: (change: Change) => void;
}

export class SimBroker {
  readonly operator: Signer;
  readonly pins: MarketPins;
  readonly config: MarketConfig;
  readonly store: Store;
  /** What the auditor found; null when nothing. */
  problem: string | null = null;
  desk: Desk | null = null;
  reads: Reads | null = null;
  services: Services | null = null;
  readonly #options: SimBrokerOptions;
  readonly #keys: BrokerKeys;
  readonly #leaseIds = new Set<string>();
  #incarnation = 0;

  constructor(options: SimBrokerOptions) {
    const { random, seed, clock } = options;
    this.#options = options;
    const [purchaseOrders, checkpoints, receipts] = [
      createSigner(random.bytes(32)),
      createSigner(random.bytes(32)),
      createSigner(random.bytes(32)),
    ];
    this.#keys = { purchaseOrders, checkpoints, receipts, secret: random.bytes(32) };
    this.operator = createSigner(random.bytes(32));
    this.config = { ...MARKET_DEFAULTS, origin: `sim/${seed}`, operatorKey: this.operator.publicKey };
    const keys = { purchaseOrders: purchaseOrders.publicKey, checkpoints: checkpoints.publicKey, receipts: receipts.publicKey };
    this.pins = { origin: this.config.origin, keys, operatorKey: this.operator.publicKey };
    this.store = this.#audited(createMemoryStore(() => clock.now()));
  }

  #audited(memory: Store): Store {
    return {
      ...memory,
      commit: async (changes) => {
        for (const change of changes) {
          this.#options.sabotage?.(change);
          for (const put of change.puts) if (put.kind === "lease") this.#leaseIds.add(put.id);
        }
        const results = await memory.commit(changes);
        this.problem ??= audit(await this.snapshot());
        return results;
      },
    };
  }

  async snapshot(): Promise<Omit<Snapshot, "leases"> & { leases: LeaseRow[] }> {
    const { balances } = await this.store.audit();
    const waiting = (await this.store.waitingOrders(WAITING_MAX)).length;
    return { balances, waiting, leases: [...(await this.store.load("lease", [...this.#leaseIds])).values()].map(({ data }) => data) };
  }

  async start(): Promise<void> {
    const { clock, crypto, network } = this.#options;
    const mine = ++this.#incarnation;
    const [index, waiting] = [new OfferIndex(), new WaitingOrders()];
    const services: Services = {
      store: this.store,
      crypto,
      keys: this.#keys,
      config: this.config,
      market: this.pins,
      index,
      waiting,
      log: new LogView(),
      now: () => clock.now(),
    };
    await openLog(services, "simulated");
    await waiting.refresh(this.store, crypto);
    await index.refresh(this.store, clock.now());
    const market = () => describeMarket(services);
    const hub: LinkHub = new LinkHub(() => desk, new Sessions(services), market, clock);
    const desk: Desk = new Desk(services, {
      toServer: (server, filed) => hub.toServer(server, filed),
      event: (event) => hub.event(event),
      keyRevoked: (key) => hub.keyRevoked(key),
    });
    await desk.hear();
    [this.desk, this.services, this.reads] = [desk, services, createReads(services, market)];
    network.listen((pipe) => hub.accept(pipe));
    const timers = async (): Promise<void> => {
      if (mine !== this.#incarnation) return;
      await desk.runTimers();
      await hub.cutRevoked();
      await sequence(services);
      await dropOld(this.store, clock.now(), KEPT);
      clock.after(TIMERS_EVERY_MS, () => void timers());
    };
    void timers();
  }

  kill(): void {
    this.#incarnation++;
    [this.desk, this.reads, this.services] = [null, null, null];
    this.#options.network.listen(null);
  }

  /** Signs and submits at the broker itself; refused as unavailable while it is down. */
  async act<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<LinkAnswer> {
    const document = signDocument(this.#options.crypto, signer, kind, {
      origin: this.pins.origin,
      seen: null,
      ...payload,
    } as unknown as Payload<K>);
    return this.desk?.submit(document.envelope) ?? refuse("unavailable");
  }

  async must<K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<void> {
    const answer = await this.act(signer, kind, payload);
    if (!answer.ok) throw new Error(`${kind}: ${answer.code} ${JSON.stringify(answer.facts)}`);
  }

  clientId(): string {
    return toHex(this.#options.random.bytes(16));
  }

  async party(name: string, creditNanos: bigint): Promise<Identity> {
    const identity = identityOf(this.#options.random.bytes(32));
    const { party, signer } = identity;
    await this.must(signer, "party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    const credit = { amountNanos: creditNanos.toString(), source: "operator", reference: "", clientId: this.clientId() } as const;
    await this.must(this.operator, "credit", { party, ...credit });
    return identity;
  }
}
