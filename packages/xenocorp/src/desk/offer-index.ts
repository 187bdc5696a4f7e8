/**
 * The broker's live offers in memory, from which matches are proposed. `free` is a hint that follows the books; the commit decides.
 * A server counts as online while its link is up at a broker that runs.
 */
import { RESOURCE_KEYS, candidateOf, capacityKey, type Candidate, type Resources } from "@xenoservers/market";
import { readSetting } from "../store/settings.ts";
import type { ServerRow, Store } from "../store/store.ts";

const NOTHING: Resources = { vcpu: 0, memoryMib: 0, diskMib: 0 };

/** Ids of what has changed. */
interface Changed {
  servers: readonly string[];
  parties: readonly string[];
  referees: boolean;
}

export class OfferIndex {
  readonly #candidates = new Map<string, Candidate>();
  readonly #online = new Set<string>();
  readonly #suspended = new Set<string>();
  readonly #referees = new Set<string>();

  /** Reads everything again from the store: at start, and when another broker may have changed it. */
  async refresh(store: Store): Promise<void> {
    const servers = await store.servers();
    await this.#readParties(store, [...new Set(servers.map((server) => server.owner))]);
    await this.#readReferees(store);
    for (const server of servers) this.put(server);
    await this.refreshFree(
      store,
      servers.map((server) => server.id),
    );
  }

  /** Reads again what another broker has changed. */
  async follow(store: Store, { servers, parties, referees }: Changed): Promise<void> {
    const rows = servers.length > 0 ? [...(await store.load("server", servers)).values()].map(({ data }) => data) : [];
    await this.#readParties(store, [...new Set([...parties, ...rows.map(({ owner }) => owner)])]);
    if (referees) await this.#readReferees(store);
    for (const server of rows) this.put(server);
    await this.refreshFree(store, servers);
  }

  async #readParties(store: Store, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    for (const [id, party] of await store.load("party", ids)) this.setSuspended(id, party.data.suspended);
  }

  async #readReferees(store: Store): Promise<void> {
    const statements = readSetting("referees", (await store.load("setting", ["referees"])).get("referees"));
    for (const { server, active } of statements) this.setReferee(server, active);
  }

  async refreshFree(store: Store, servers: readonly string[]): Promise<void> {
    if (servers.length === 0) return;
    const books = await store.balances(servers.map((server) => `${server}/`));
    for (const server of servers) {
      const candidate = this.#candidates.get(server);
      if (!candidate) continue;
      const free = { ...NOTHING };
      for (const key of RESOURCE_KEYS) free[key] = Number(books.get(capacityKey(server, key, "free")) ?? 0n);
      candidate.free = free;
    }
  }

  put(server: ServerRow): void {
    if (!server.offer || !server.offerId) {
      this.#candidates.delete(server.id);
      return;
    }
    const { offer, offerId } = server;
    const free = this.#candidates.get(server.id)?.free ?? offer.resources;
    const standing = {
      ...{ free, online: this.#online.has(server.id), suspended: this.#suspended.has(offer.owner) },
      isReferee: this.#referees.has(server.id),
    };
    this.#candidates.set(server.id, candidateOf(offerId, offer, standing));
  }

  move(server: string, resources: Resources, sign: 1 | -1): void {
    const candidate = this.#candidates.get(server);
    if (candidate)
      for (const key of RESOURCE_KEYS) candidate.free = { ...candidate.free, [key]: candidate.free[key] + sign * resources[key] };
  }

  setOnline(server: string, online: boolean): void {
    if (online) this.#online.add(server);
    else this.#online.delete(server);
    const candidate = this.#candidates.get(server);
    if (candidate) candidate.online = online;
  }

  setSuspended(party: string, suspended: boolean): void {
    if (suspended) this.#suspended.add(party);
    else this.#suspended.delete(party);
    for (const candidate of this.#candidates.values()) if (candidate.owner === party) candidate.suspended = suspended;
  }

  setReferee(server: string, isReferee: boolean): void {
    if (isReferee) this.#referees.add(server);
    else this.#referees.delete(server);
    const candidate = this.#candidates.get(server);
    if (candidate) candidate.isReferee = isReferee;
  }

  get(server: string): Candidate | undefined {
    return this.#candidates.get(server);
  }

  all(): Iterable<Candidate> {
    return this.#candidates.values();
  }
}
