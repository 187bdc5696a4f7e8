/** One round of the desk: the rows that its handlers asked for (gets of one tick become one query per kind) and the time it runs at. */
import type { Crypto, MarketPins } from "@xenoservers/protocol";
import type { BrokerKeys, MarketConfig } from "../config.ts";
import { ArchiveAway } from "../store/archived.ts";
import type { LogView } from "../log/log-view.ts";
import type { Entities, EntityKind, LogPlace, Store, Versioned } from "../store/store.ts";
import type { OfferIndex } from "./offer-index.ts";
import type { WaitingOrders } from "./waiting-orders.ts";

export interface Services {
  store: Store;
  crypto: Crypto;
  keys: BrokerKeys;
  config: MarketConfig;
  /** What its parties pin of this market. */
  market: MarketPins;
  index: OfferIndex;
  waiting: WaitingOrders;
  log: LogView;
  /** How the market's other brokers hear of what this one did; absent: there are none. */
  fleet?: FleetDesk;
  /** The right to append to the log, where several brokers could; null: another one has it. */
  place?(): Promise<LogPlace | null>;
  /** Broker time, never going back. */
  now(): number;
}

/** What the desk needs of the fleet. */
export interface FleetDesk {
  /** Of this process, among all that ever ran. */
  readonly id: string;
  /** Before a commit: names what is told of it. */
  opened(): string;
  /** After it, where its effects were acted on here too. Those of a commit whose outcome is not known are acted on when they are read. */
  acted(note: string): void;
}

interface Wanted {
  resolve(row: Versioned<Entities[EntityKind]> | null): void;
  reject(error: unknown): void;
}

export class Round {
  readonly at: number;
  readonly #services: Services;
  readonly #rows = new Map<string, Promise<Versioned<Entities[EntityKind]> | null>>();
  #wanted = new Map<EntityKind, Map<string, Wanted>>();

  constructor(services: Services) {
    this.#services = services;
    this.at = services.now();
  }

  get services(): Services {
    return this.#services;
  }

  get<K extends EntityKind>(kind: K, id: string): Promise<Versioned<Entities[K]> | null> {
    const key = `${kind} ${id}`;
    let row = this.#rows.get(key);
    if (!row) {
      row = new Promise((resolve, reject) => {
        if (this.#wanted.size === 0) queueMicrotask(() => void this.#fetch());
        let ids = this.#wanted.get(kind);
        if (!ids) this.#wanted.set(kind, (ids = new Map()));
        ids.set(id, { resolve, reject });
      });
      this.#rows.set(key, row);
    }
    return row as Promise<Versioned<Entities[K]> | null>;
  }

  async #fetch(): Promise<void> {
    const wanted = this.#wanted;
    this.#wanted = new Map();
    await Promise.all([...wanted].map(([kind, ids]) => this.#load(kind, ids)));
  }

  async #load(kind: EntityKind, ids: ReadonlyMap<string, Wanted>): Promise<void> {
    try {
      const rows = await this.#services.store.load(kind, [...ids.keys()]);
      for (const [id, { resolve }] of ids) resolve((rows.get(id) as Versioned<Entities[EntityKind]> | undefined) ?? null);
    } catch (error) {
      // what lies in an archive that is away is nothing to whoever asks for others
      if (error instanceof ArchiveAway && ids.size > 1) await Promise.all([...ids].map((one) => this.#load(kind, new Map([one]))));
      else for (const { reject } of ids.values()) reject(error);
    }
  }
}
