/**
 * The broker's live offers in memory, from which matches are proposed. `free` is a hint that follows the books; the commit decides.
 * A server counts as online while its link is up at a broker that runs.
 */
import {
  NEWCOMER,
  RESOURCE_KEYS,
  candidateOf,
  capacityKey,
  coolerOf,
  exclusionOf,
  fitsWithin,
  isVouchedFor,
  missesWeigh,
  moneyKey,
  type Candidate,
  type ClockReading,
  type Conduct,
  type Resources,
  type Wish,
} from "@xenoservers/market";
import { rootAccountOf } from "@xenoservers/protocol";
import { readSetting } from "../store/settings.ts";
import type { PartyRow, ServerRow, Store } from "../store/store.ts";

const NOTHING: Resources = { vcpu: 0, memoryMib: 0, diskMib: 0 };

/** What all servers of one owner share. */
interface OwnerStanding {
  conduct: Conduct;
  missesWeigh: boolean;
  isVouchedFor: boolean;
}

interface ServerClock extends ClockReading {
  isRight: boolean;
}

/** Ids of what has changed. */
interface Changed {
  servers: readonly string[];
  parties: readonly string[];
  referees: boolean;
}

export class OfferIndex {
  readonly #candidates = new Map<string, Candidate>();
  readonly #online = new Set<string>();
  /** As they were when their servers logged in, wherever that was. */
  readonly #clocks = new Map<string, ServerClock>();
  readonly #conduct = new Map<string, Conduct>();
  readonly #owners = new Map<string, OwnerStanding>();
  readonly #suspended = new Set<string>();
  readonly #referees = new Set<string>();
  /** Servers that may take what they could not before. */
  #room = new Set<string>();
  /** Servers whose free room is about to change here as it may have in the books by now; whether it was read from there meanwhile. */
  readonly #settling = new Map<string, boolean>();
  /** Until when servers rest, as far as they do. */
  readonly #resting = new Map<string, number>();
  /** Called where some server may take what it could not before. */
  onRoom: () => void = () => {};

  /** Reads everything again from the store, what is listed at this time: at start, and when another broker may have changed it. */
  async refresh(store: Store, now: number): Promise<void> {
    const before = new Map(this.#candidates);
    const servers = await store.listedServers(now);
    await this.refreshOwners(store, [...new Set(servers.map((server) => server.owner))]);
    await this.#readReferees(store);
    const listed = new Set(servers.map(({ id }) => id));
    // one that was listed meanwhile is not among those that were read
    for (const [id, candidate] of before) if (!listed.has(id) && this.#candidates.get(id) === candidate) this.#candidates.delete(id);
    for (const server of servers) this.put(server);
    await this.refreshFree(
      store,
      servers.map((server) => server.id),
    );
  }

  /** What is known of owners: suspended or not, their servers' conduct together, what speaks for them. */
  async refreshOwners(store: Store, owners: readonly string[]): Promise<void> {
    if (owners.length === 0) return;
    const keysOf = (owner: string) => [moneyKey(rootAccountOf(owner), "staked"), moneyKey(rootAccountOf(owner), "locked")];
    const [parties, books] = await Promise.all([store.load("party", owners), store.balances(owners.flatMap(keysOf))]);
    for (const [id, { data }] of parties)
      this.#setOwner(
        data,
        keysOf(id).reduce((sum, key) => sum + (books.get(key) ?? 0n), 0n),
      );
    // once for all of them: a market has as many owners as servers
    const improved: string[] = [];
    for (const candidate of this.#candidates.values()) {
      if (!parties.has(candidate.owner)) continue;
      const { suspended, coolUntil } = candidate;
      Object.assign(candidate, { suspended: this.#suspended.has(candidate.owner), ...this.#standing(candidate) });
      if ((suspended && !candidate.suspended) || coolUntil > candidate.coolUntil) improved.push(candidate.server);
    }
    this.#gotRoom(improved);
  }

  #setOwner({ id, suspended, conduct, record }: PartyRow, stakedNanos: bigint): void {
    if (suspended) this.#suspended.add(id);
    else this.#suspended.delete(id);
    this.#owners.set(id, { conduct, missesWeigh: missesWeigh(record), isVouchedFor: isVouchedFor(record, stakedNanos) });
  }

  #standing({ server, owner }: Pick<Candidate, "server" | "owner">) {
    const known = this.#owners.get(owner);
    const own = this.#conduct.get(server);
    const cooler = own && known ? coolerOf(own, known.conduct) : (own ?? known?.conduct);
    if (cooler && cooler.coolUntil > 0) this.#resting.set(server, cooler.coolUntil);
    return {
      clockIsRight: this.#clocks.get(server)?.isRight ?? NEWCOMER.clockIsRight,
      coolUntil: cooler?.coolUntil ?? NEWCOMER.coolUntil,
      missesWeigh: known?.missesWeigh ?? NEWCOMER.missesWeigh,
      isVouchedFor: known?.isVouchedFor ?? NEWCOMER.isVouchedFor,
    };
  }

  /** Reads again what another broker has changed. */
  async follow(store: Store, { servers, parties, referees }: Changed): Promise<void> {
    const rows = servers.length > 0 ? [...(await store.load("server", servers)).values()].map(({ data }) => data) : [];
    await this.refreshOwners(store, [...new Set([...parties, ...rows.map(({ owner }) => owner)])]);
    if (referees) await this.#readReferees(store);
    for (const server of rows) this.put(server);
    await this.refreshFree(store, servers);
  }

  async #readReferees(store: Store): Promise<void> {
    const statements = readSetting("referees", (await store.load("setting", ["referees"])).get("referees"));
    for (const { server, active } of statements) this.setReferee(server, active);
  }

  /** A commit is under way after which their free room is moved here: what is read of the books until then may hold that, or not. */
  settling(servers: readonly string[]): void {
    for (const server of servers) this.#settling.set(server, false);
  }

  /** It was moved, or nobody knows; what was read meanwhile is read again. */
  async settled(store: Store, isKnown: boolean): Promise<void> {
    const again = [...this.#settling].filter(([, wasRead]) => wasRead || !isKnown).map(([server]) => server);
    this.#settling.clear();
    await this.refreshFree(store, again);
  }

  async refreshFree(store: Store, servers: readonly string[]): Promise<void> {
    if (servers.length === 0) return;
    const books = await store.balances(servers.map((server) => `${server}/`));
    const grown: string[] = [];
    for (const server of servers) {
      const candidate = this.#candidates.get(server);
      if (!candidate) continue;
      if (this.#settling.has(server)) {
        this.#settling.set(server, true);
        continue;
      }
      const free = { ...NOTHING };
      for (const key of RESOURCE_KEYS) free[key] = Number(books.get(capacityKey(server, key, "free")) ?? 0n);
      if (!fitsWithin(free, candidate.free)) grown.push(server);
      candidate.free = free;
    }
    this.#gotRoom(grown);
  }

  put(server: ServerRow): void {
    this.#conduct.set(server.id, server.conduct);
    if (!server.offer || !server.offerId) {
      this.#candidates.delete(server.id);
      return;
    }
    const { offer, offerId } = server;
    const before = this.#candidates.get(server.id);
    const free = before?.free ?? offer.resources;
    const standing = {
      ...{ free, online: this.#online.has(server.id), suspended: this.#suspended.has(offer.owner) },
      ...{ isReferee: this.#referees.has(server.id), ...this.#standing({ server: server.id, owner: offer.owner }) },
    };
    this.#candidates.set(server.id, candidateOf(offerId, { holds: {}, ...offer }, standing));
    if (before?.offerId !== offerId || before.coolUntil > standing.coolUntil) this.#gotRoom([server.id]);
  }

  move(server: string, resources: Resources, sign: 1 | -1): void {
    const candidate = this.#candidates.get(server);
    if (!candidate) return;
    for (const key of RESOURCE_KEYS) candidate.free = { ...candidate.free, [key]: candidate.free[key] + sign * resources[key] };
    if (sign > 0) this.#gotRoom([server]);
  }

  setOnline(server: string, online: boolean): void {
    if (online) this.#online.add(server);
    else this.#online.delete(server);
    const candidate = this.#candidates.get(server);
    if (!candidate || candidate.online === online) return;
    candidate.online = online;
    if (online) this.#gotRoom([server]);
  }

  isOnline(server: string): boolean {
    return this.#online.has(server);
  }

  setClock(server: string, clock: ServerClock): void {
    this.#clocks.set(server, clock);
    const candidate = this.#candidates.get(server);
    if (!candidate || candidate.clockIsRight === clock.isRight) return;
    candidate.clockIsRight = clock.isRight;
    if (clock.isRight) this.#gotRoom([server]);
  }

  clockOf(server: string): ServerClock | null {
    return this.#clocks.get(server) ?? null;
  }

  setSuspended(party: string, suspended: boolean): void {
    if (suspended) this.#suspended.add(party);
    else this.#suspended.delete(party);
    const own = [...this.#candidates.values()].filter(({ owner }) => owner === party);
    for (const candidate of own) candidate.suspended = suspended;
    if (!suspended) this.#gotRoom(own.map(({ server }) => server));
  }

  setReferee(server: string, isReferee: boolean): void {
    if (isReferee) this.#referees.add(server);
    else this.#referees.delete(server);
    const candidate = this.#candidates.get(server);
    if (candidate) candidate.isReferee = isReferee;
    if (!isReferee) this.#gotRoom([server]);
  }

  get hasRoom(): boolean {
    return this.#room.size > 0;
  }

  /** Servers that may take what they could not when this was last asked. */
  takeRoom(): string[] {
    const room = [...this.#room];
    this.#room = new Set();
    return room;
  }

  #gotRoom(servers: readonly string[]): void {
    if (servers.length === 0) return;
    for (const server of servers) this.#room.add(server);
    this.onRoom();
  }

  /** Room that has come unseen by someone who began to wait meanwhile. */
  lookFor(wish: Wish, now: number): void {
    const fitting = [...this.#candidates.values()].filter((candidate) => exclusionOf(candidate, wish, now) === null);
    this.#gotRoom(fitting.map(({ server }) => server));
  }

  /** Servers whose rest is over by now have room again. */
  wakeRested(now: number): void {
    const rested = [...this.#resting].filter(([, until]) => until <= now).map(([server]) => server);
    for (const server of rested) this.#resting.delete(server);
    this.#gotRoom(rested);
  }

  get(server: string): Candidate | undefined {
    return this.#candidates.get(server);
  }

  all(): Iterable<Candidate> {
    return this.#candidates.values();
  }

  byServer(): ReadonlyMap<string, Candidate> {
    return this.#candidates;
  }

  /** What is free there may be somebody else's than before. */
  wake(servers: readonly string[]): void {
    this.#gotRoom(servers);
  }
}
