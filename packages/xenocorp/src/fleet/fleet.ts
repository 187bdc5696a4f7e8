/**
 * This broker among those that serve the same market from one database. The tables are the truth: which brokers run, which holds a server's
 * link, and a note beside every commit, which each broker reads once and in order; a hint only says that it is time to read. Who controls
 * the inputs: the market's own brokers.
 *
 *   a commit here ──▶ note ──▶ read there: offers looked up again, servers and customers linked there are told, keys cut
 *   a link here   ──▶ route ─▶ read there: it is online; whoever held it lets go; channels to it are dialled
 */
import { clockAllowanceMs, clockIsRight, type ClockReading } from "@xenoservers/market";
import { toHex, type Crypto } from "@xenoservers/protocol";
import type { FleetDesk, Services } from "../desk/round.ts";
import type { FiledEnvelope } from "../desk/outcome.ts";
import type { MarketEvent, Note } from "../store/store.ts";
import type { Beat, FleetStore, LinkMark, NotePlace, ReadNote } from "./fleet-store.ts";

/** Whoever was silent for so long holds no links that count. */
const SILENT_MS = 4_000;
/** And after so long it is forgotten: it begins anew when it comes back. */
const FORGOTTEN_MS = 60_000;
const TURNS_KEPT_MS = 3_600_000;
const PAGE = 500;
/** What this broker has told and did not act on itself is kept for so long. */
const OWED_MS = 600_000;

/** What the fleet needs of the hub. */
interface FleetHub {
  holds(server: string): boolean;
  /** The server is linked elsewhere now. */
  letGo(server: string): void;
  toServer(server: string, filed: readonly FiledEnvelope[]): void;
  event(event: MarketEvent): void;
  keyRevoked(key: string): void;
  /** Whoever is linked comes again and is told everything. */
  dropAll(): void;
}

interface FleetParts {
  store: FleetStore;
  services: () => Services;
  hub: () => FleetHub;
  crypto: Crypto;
  monotonicMs: () => number;
  /** Something waits to be written: `write` is to be called soon. */
  wake(): void;
  /** There is something for the others to read. They would find it without, but later. */
  hint(): void;
}

export class Fleet implements FleetDesk {
  readonly id: string;
  readonly #parts: FleetParts;
  /** Where others reach this broker. */
  #address: string | null = null;
  /** Others that run: where they are reached. */
  #others = new Map<string, string | null>();
  #place: NotePlace | null = null;
  /** Own notes whose effects were not acted on here, and since when. */
  readonly #owed = new Map<string, number>();
  readonly #routes = new Map<string, string>();
  readonly #links = new Map<string, LinkMark>();
  #came = new Map<string, LinkMark>();
  #went = new Map<string, LinkMark>();
  #linksEver = 0;
  #beatenSince: number | null = null;
  #beatAt = -Infinity;

  constructor(parts: FleetParts) {
    this.#parts = parts;
    this.id = toHex(parts.crypto.randomBytes(8));
  }

  get others(): number {
    return this.#others.size;
  }

  /** Makes itself known. What is committed from now on is read as notes, what was committed before stands in the tables. */
  async join(address: string | null): Promise<void> {
    this.#address = address;
    await this.beat();
  }

  async leave(): Promise<void> {
    await this.#parts.store.leave(this.id);
  }

  opened(): string {
    const id = toHex(this.#parts.crypto.randomBytes(8));
    const now = this.#parts.monotonicMs();
    for (const [oldest, since] of this.#owed) {
      if (now - since < OWED_MS) break;
      this.#owed.delete(oldest);
    }
    this.#owed.set(id, now);
    return id;
  }

  acted(note: string): void {
    this.#owed.delete(note);
    this.hint();
  }

  hint(): void {
    if (this.#others.size > 0) this.#parts.hint();
  }

  linked(server: string, clock: ClockReading): void {
    const mark = { server, link: ++this.#linksEver, clock };
    this.#links.set(server, mark);
    this.#came.set(server, mark);
    this.#went.delete(server);
    this.#parts.wake();
  }

  unlinked(server: string): void {
    const mark = this.#links.get(server);
    if (mark === undefined) return;
    this.#links.delete(server);
    this.#came.delete(server);
    this.#went.set(server, mark);
    this.#parts.wake();
  }

  isElsewhere(server: string): boolean {
    const broker = this.#routes.get(server);
    return broker !== undefined && broker !== this.id && this.#others.has(broker);
  }

  /** Where the broker that holds the server's link is reached; the database is asked where this one does not know. Null: nowhere. */
  async addressOf(server: string): Promise<string | null> {
    if (!this.isElsewhere(server)) await this.#lookUp([server]);
    const broker = this.#routes.get(server);
    return (this.isElsewhere(server) && broker !== undefined && this.#others.get(broker)) || null;
  }

  /** Writes down which links came and went. */
  async write(): Promise<number> {
    const [came, went] = [this.#came, this.#went];
    if (came.size + went.size === 0) return 0;
    [this.#came, this.#went] = [new Map(), new Map()];
    try {
      await this.#parts.store.writeRoutes(this.id, [...came.values()], [...went.values()]);
    } catch (error) {
      // what has changed since is newer
      for (const mark of came.values()) if (this.#links.get(mark.server) === mark) this.#came.set(mark.server, mark);
      for (const mark of went.values()) if (!this.#links.has(mark.server)) this.#went.set(mark.server, mark);
      throw error;
    }
    this.hint();
    return 0;
  }

  /** Says that this broker runs, and hears who else does. To be called about once a second. */
  async beat(): Promise<void> {
    const before = this.#place;
    const beat = await this.#parts.store.beat(this.id, this.#address, before?.xid ?? null);
    this.#count();
    this.#hear(beat);
    this.#place ??= { xid: beat.read, seq: "0" };
    if (beat.isNew && before !== null) await this.#beginAnew(beat);
  }

  #count(): void {
    const now = this.#parts.monotonicMs();
    if (this.#beatenSince === null || now - this.#beatAt > SILENT_MS) this.#beatenSince = now;
    this.#beatAt = now;
  }

  #hear({ others }: Beat): void {
    const now = new Map(others.filter(({ silentMs }) => silentMs < SILENT_MS).map(({ id, address }) => [id, address]));
    const isSame = now.size === this.#others.size && [...now.keys()].every((id) => this.#others.has(id));
    this.#others = now;
    if (!isSame) for (const server of this.#routes.keys()) this.#show(server);
  }

  /** The others have forgotten this broker: it has not read all that they told, and holds its links for nobody. */
  async #beginAnew({ read }: Beat): Promise<void> {
    this.#place = { xid: read, seq: "0" };
    this.#parts.hub().dropAll();
    await this.follow();
  }

  /** Reads again what is in the tables: offers and routes. */
  async follow(): Promise<void> {
    const { index, waiting, store, now, crypto } = this.#parts.services();
    const unknown = await waiting.refresh(store, crypto);
    await index.refresh(store, now());
    for (const { wish } of unknown) index.lookFor(wish, now());
    await this.#lookUp(null);
  }

  /** Forgets brokers that are gone, once this one has run for so long that it would know. */
  async tidy(): Promise<void> {
    const now = this.#parts.monotonicMs();
    if (this.#beatenSince === null || now - this.#beatenSince < FORGOTTEN_MS) return;
    await this.#parts.store.tidy(this.id, FORGOTTEN_MS, this.#parts.services().now() - TURNS_KEPT_MS);
  }

  async #lookUp(servers: readonly string[] | null): Promise<void> {
    const read = await this.#parts.store.routes(servers);
    const routes = new Map(read.map(({ server, broker }) => [server, broker]));
    for (const { server, broker, clock } of read)
      if (broker !== this.id && !this.#links.has(server) && clock) this.#noteClock(server, clock);
    for (const server of servers ?? [...this.#routes.keys(), ...this.#links.keys()]) if (!routes.has(server)) this.#routes.delete(server);
    for (const [server, broker] of routes) this.#routes.set(server, broker);
    for (const server of servers ?? new Set([...this.#routes.keys(), ...this.#links.keys()])) {
      this.#settle(server);
      this.#show(server);
    }
  }

  /** One broker holds a server's link: the one whose word was the last, while it runs. */
  #settle(server: string): void {
    const mark = this.#links.get(server);
    if (mark === undefined || this.#came.has(server) || this.#routes.get(server) === this.id) return;
    if (this.isElsewhere(server)) return this.#parts.hub().letGo(server);
    this.#came.set(server, mark);
    this.#parts.wake();
  }

  #noteClock(server: string, clock: ClockReading): void {
    const { index, config } = this.#parts.services();
    index.setClock(server, { ...clock, isRight: clockIsRight(clock, clockAllowanceMs(config.timings)) });
  }

  #show(server: string): void {
    const isOnline = this.#parts.hub().holds(server) || this.isElsewhere(server);
    this.#parts.services().index.setOnline(server, isOnline);
  }

  /** Reads on in the notes and acts on them; returns how many there were. */
  async read(): Promise<number> {
    const place = this.#place;
    if (!place) return 0;
    const page = await this.#parts.store.notesAfter(this.id, place, [...this.#owed.keys()], PAGE);
    const last = page.at(-1);
    if (!last) return 0;
    await this.#act(page.filter(({ id, broker }) => broker !== this.id || this.#owed.has(id)));
    for (const { id } of page) this.#owed.delete(id);
    this.#place = { xid: last.xid, seq: last.seq };
    return page.length;
  }

  async #act(page: readonly ReadNote[]): Promise<void> {
    const notes = page.flatMap((note) => note.notes);
    const of = <A extends Note["about"]>(about: A) => notes.filter((note): note is Extract<Note, { about: A }> => note.about === about);
    const { index, waiting, store, crypto, now } = this.#parts.services();
    const hub = this.#parts.hub();
    for (const { key } of of("key")) hub.keyRevoked(key);
    const routes = [...new Set(of("route").map(({ server }) => server))];
    if (routes.length > 0) await this.#lookUp(routes);
    const parties = [...new Set(of("party").map(({ party }) => party))];
    const servers = [...new Set(of("listing").map(({ server }) => server))];
    await index.follow(store, { servers, parties, referees: of("referees").length > 0 });
    const orders = [...new Set(of("order").map(({ order }) => order))];
    for (const { wish } of await waiting.follow(store, crypto, orders)) index.lookFor(wish, now());
    for (const { server, documents } of of("documents")) {
      if (!hub.holds(server)) continue;
      const filed = (await Promise.all(documents.map((id) => store.document(id)))).filter((document) => document !== null);
      hub.toServer(server, filed);
    }
    for (const { events } of page) for (const event of events) hub.event(event);
  }
}
