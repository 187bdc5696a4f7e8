/** What the store in memory keeps: the same tables as the database, as plain collections. */
import { LIVE_STATES, Ledger } from "@xenoservers/market";
import type { Json } from "@xenoservers/protocol";
import type { ArchivePlace, RowPlace } from "../archived.ts";
import type { Entities, EntityKind, LogHead, LoggedDocument, MarketEvent, SealedRow, Versioned } from "../store.ts";

/** States in which money is held. */
export const LIVE: ReadonlySet<string> = new Set(LIVE_STATES);

type Rows = { [K in EntityKind]: Map<string, Versioned<Entities[K]>> };

export class Tables {
  readonly clock: () => number;
  readonly rows: Rows = {
    ...{ party: new Map(), key: new Map(), account: new Map(), server: new Map() },
    ...{ batch: new Map(), order: new Map(), lease: new Map(), setting: new Map() },
  };
  readonly ledger = new Ledger();
  readonly answers = new Map<string, { answer: Json; at: number }>();
  readonly uniques = new Set<string>();
  readonly transfers: { id: string; debit: string; credit: string; amount: bigint; at: number }[] = [];
  readonly documents = new Map<string, LoggedDocument>();
  readonly archived = new Map<string, ArchivePlace>();
  /** Of leases whose rows lie there too: only stubs of them are here. */
  readonly archivedRows = new Map<string, RowPlace>();
  /** The first so many transfers, and what they sum to. */
  readonly proved = { transfers: 0, sums: new Map<string, bigint>() };
  /** Each with its place, which grows. */
  events: (MarketEvent & { place: number })[] = [];
  /** The last of a party's events that was dropped. */
  readonly eventsDropped = new Map<string, number>();
  eventsEver = 0;
  readonly sealed = new Map<string, SealedRow>();
  /** Whose turn a due timer is. */
  readonly turns = new Map<string, { by: string; until: number }>();
  readonly usedChallenges = new Map<string, number>();
  lastBeat: number | null = null;
  pending: LoggedDocument[] = [];
  log: { hash: string; documentId: string }[] = [];
  nodes = new Map<string, string>();
  leafIndex = new Map<string, number>();
  head: LogHead | null = null;
  /** Of the epochs that are over. */
  readonly earlier: { head: LogHead; nodes: ReadonlyMap<string, string> }[] = [];

  constructor(clock: () => number) {
    this.clock = clock;
  }

  /** All rows of a kind, in the order in which they came. */
  all<K extends EntityKind>(kind: K): Entities[K][] {
    return [...this.rows[kind].values()].map(({ data }) => data);
  }
}
