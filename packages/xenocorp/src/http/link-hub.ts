/**
 * The broker's ends of all links: logs daemons and customers in, hands their documents to the desk, pushes what concerns them, and cuts
 * what a key had open when the key ends. Who controls the inputs: whoever connects, every byte. Bounds: links that have not logged in,
 * documents that wait for their answer; those of door.ts, link.ts and channels.ts.
 */
import { clockAllowanceMs, clockIsRight, clockBetween, type ClockReading } from "@xenoservers/market";
import { KIND_TABLE, refusalBody, refuse, serverIdOf, toHex, type Refusal } from "@xenoservers/protocol";
import {
  DEFAULT_BEAT,
  parseMessage,
  zToBroker,
  type Beat,
  type Closing,
  type Documents,
  type FromBroker,
  type MarketInfo,
  type Timers,
  type ToBroker,
} from "@xenoservers/protocol/link";
import type { Answer } from "../desk/desk.ts";
import { credentialsOf } from "../desk/credentials.ts";
import type { FiledEnvelope } from "../desk/outcome.ts";
import type { Services } from "../desk/round.ts";
import { isBound, isCustomer, sees, type LeaseSides } from "../store/reader.ts";
import { briefOf } from "../store/brief.ts";
import type { MarketEvent } from "../store/store.ts";
import type { Wills } from "../wills/wills.ts";
import type { FarEnd, FarOpen } from "../fleet/far-end.ts";
import { NO_FLEET, NOT_CONNECTED, type LinkFleet } from "../fleet/link-fleet.ts";
import type { Faults } from "@xenoservers/protocol/faults";
import { Channels, type ChannelEnd } from "./channels.ts";
import { Door, MESSAGE_COSTS, CONTROL_FRAME_COST, OPEN_REFUSED_COST, SUBMIT_REFUSED_COST, costOfBytes, holderOf } from "./door.ts";
import { Link, type LinkPipe } from "./link.ts";
import { LiveKeys } from "./live-keys.ts";
import { readerOf, type PartySession, type Sessions } from "./sessions.ts";

const LOGIN_WITHIN_MS = 10_000;
const LEASES_KEPT_MAX = 10_000;
/** A message to a link stays well below what its other end takes. */
const DOCUMENTS_CHARS_MAX = 400_000;
/** Brokers hear of each other's revocations by asking; a change may take so long between its time and its commit. */
const COMMIT_WITHIN_MS = 30_000;

/** What the hub needs of the desk. */
interface HubDesk {
  readonly services: Services;
  submit(envelope: unknown, delivery?: unknown, waits?: boolean): Promise<Answer>;
}

/** Absent: no wills are kept here. */
type HubWills = Pick<Wills, "say" | "gone" | "afterMs">;

const charsOf = (filed: readonly FiledEnvelope[]): number => filed.reduce((sum, { envelope }) => sum + envelope.payload.length, 0);

/**
 * In pages of bounded size. The first, which is taken up in its own time, holds whole leases only: no lease begins there and goes on in
 * another page.
 */
function pagesOf(leases: readonly (readonly FiledEnvelope[])[]): FiledEnvelope[][] {
  const first: FiledEnvelope[] = [];
  const others: FiledEnvelope[][] = [];
  for (const filed of leases) {
    if (charsOf(first) + charsOf(filed) <= DOCUMENTS_CHARS_MAX) first.push(...filed);
    else
      for (const document of filed) {
        const page = others.at(-1);
        if (page && charsOf(page) + document.envelope.payload.length <= DOCUMENTS_CHARS_MAX) page.push(document);
        else others.push([document]);
      }
  }
  return [first, ...others];
}

export class LinkHub {
  readonly live: LiveKeys;
  readonly door: Door;
  readonly #desk: () => HubDesk;
  readonly #sessions: Sessions;
  readonly #market: () => Promise<MarketInfo>;
  readonly #timers: Timers;
  readonly #servers = new Map<string, Link>();
  readonly #customers = new Map<string, Set<Link>>();
  readonly channels = new Channels();
  readonly #fleet: LinkFleet;
  readonly #wills: HubWills | null;
  readonly #failed: Faults["failed"];
  /** How often either end of a link lets the other hear something. */
  readonly beat: Beat;
  /** Who may see a lease, as it was first looked up: what a move changes, `serverKey`, is asked for no customer's link. */
  readonly #sides = new Map<string, LeaseSides>();
  #askedAt: number | null = null;

  constructor(
    desk: () => HubDesk,
    sessions: Sessions,
    market: () => Promise<MarketInfo>,
    timers: Timers,
    {
      door = new Door(timers),
      fleet = NO_FLEET,
      failed = () => {},
      beat = DEFAULT_BEAT,
      wills = null,
    }: { door?: Door; fleet?: LinkFleet; failed?: Faults["failed"]; beat?: Beat; wills?: HubWills | null } = {},
  ) {
    this.#wills = wills;
    this.beat = beat;
    this.door = door;
    this.#failed = failed;
    this.#fleet = fleet;
    this.#desk = desk;
    this.#sessions = sessions;
    this.#market = market;
    this.#timers = timers;
    this.live = new LiveKeys(timers, () => desk().services.now());
  }

  get counts() {
    return { servers: this.#servers.size, customers: this.#customers.size, channels: this.channels.size };
  }

  /** After what time nobody's word keeps a last will from being filed; null: none is taken here. */
  get willAfterMs(): number | null {
    return this.#wills?.afterMs ?? null;
  }

  get #services(): Services {
    return this.#desk().services;
  }

  /** `address`: under whom its bounds by source address are kept; `requestId`: what it is called where it is logged. */
  accept(pipe: LinkPipe, address = "", requestId = ""): void {
    const leave = this.door.takeAll([["addressLinks", address]]);
    const admitted = this.door.take("waiting", address);
    if (!leave || !admitted) {
      leave?.();
      return pipe.close("too-many-links");
    }
    const link = new Link(pipe, { address, requestId, challenge: toHex(this.#services.crypto.randomBytes(32)) });
    link.leave = leave;
    const callOff = this.#timers.after(LOGIN_WITHIN_MS, () => {
      if (link.session === null) this.#close(link, "not-logged-in");
    });
    const loggedIn = (): void => {
      admitted();
      callOff();
    };
    pipe.heeds?.(
      () => this.door.owedMs(link.address, link.session),
      () => (link.session ? holderOf(link.session) : link.address),
    );
    pipe.onControl?.(() => this.#charge(link, CONTROL_FRAME_COST));
    pipe.onMessage((message) => {
      if (!link.open) return;
      if (typeof message !== "string") {
        const passed = this.channels.relay(link, message);
        return this.#charge(link, costOfBytes(message.length, passed));
      }
      this.#receive(link, message, loggedIn).catch((error: unknown) => {
        this.#failed("a message of a link failed", error, { party: link.session?.party ?? null, requestId: link.requestId });
        this.#close(link, "unavailable"); // the other end tries again
      });
    });
    pipe.onClose(() => {
      loggedIn();
      this.#gone(link);
    });
    this.#market().then(
      (market) => {
        link.challengedAt = this.#services.now();
        link.tell({ t: "challenge", challenge: link.challenge, market, beat: this.beat });
      },
      () => link.close("unavailable"),
    );
  }

  #charge(link: Link, cost: number): void {
    if (!this.door.charge(link.address, link.session, cost)) this.#close(link, "too-much");
  }

  async #receive(link: Link, text: string, admitted: () => void): Promise<void> {
    const message = parseMessage(zToBroker, text);
    this.#charge(link, message ? MESSAGE_COSTS[message.t] : MESSAGE_COSTS.hello);
    if (!link.open) return;
    if (!message) return this.#close(link, "malformed");
    if (message.t === "hello") {
      await this.#login(link, message);
      if (link.session !== null) admitted();
      return;
    }
    const { session } = link;
    if (session === null) return this.#close(link, "not-logged-in");
    switch (message.t) {
      case "submit":
        return this.#answer(link, session, message.ref, () => this.#desk().submit(message.envelope, message.delivery, message.waits));
      case "will":
        return this.#answer(
          link,
          session,
          message.ref,
          async () => (await this.#wills?.say(link, session, message.lease, message.envelope)) ?? refuse("unknown_kind", { kind: "will" }),
        );
      case "channel-open":
        return this.#open(link, session, message);
      case "channel-close":
        return this.channels.close(message.session, link, "closed by the other end");
      case "ping":
        return link.tell({ t: "pong", now: this.#services.now() });
    }
  }

  async #login(link: Link, { login, clock }: Extract<ToBroker, { t: "hello" }>): Promise<void> {
    if (link.loggingIn) return this.#close(link, "not-logged-in");
    link.loggingIn = true;
    const reading = clockBetween(clock, link.challengedAt, this.#services.now());
    const end = await this.door.turns.reads.take(link.address, () => !link.open);
    if (!end) return this.#close(link, "no-room");
    const opened = await this.#sessions.login(login, link.challenge).finally(end);
    if (!link.open) return;
    if (!opened.ok) return this.#refuse(link, opened);
    const { session } = opened;
    if (session.by === "operator") return this.#refuse(link, refuse("key_not_allowed", { kind: "login", role: "operator" }));
    const isServer = session.key.role === "server";
    // a server's new link takes the place of its old one
    const leave = isServer ? () => {} : this.door.take("partyLinks", session.party);
    if (!leave) return this.#close(link, "too-many-links");
    const { leave: leaveAddress } = link;
    link.leave = () => (leave(), leaveAddress());
    link.session = session;
    link.admit();
    link.letGo = this.live.hold(session.key, (why) => this.#refuse(link, why));
    if (isServer) this.#admitServer(link, session, reading);
    else this.#admitCustomer(link, session);
  }

  #admitServer(link: Link, { party, key }: PartySession, clock: ClockReading): void {
    const server = serverIdOf(this.#services.crypto, key.id);
    link.server = server;
    const earlier = this.#servers.get(server);
    this.#servers.set(server, link);
    if (earlier && earlier !== link) this.#close(earlier, "replaced");
    const allowedMs = clockAllowanceMs(this.#services.config.timings);
    this.#services.index.setClock(server, { ...clock, isRight: clockIsRight(clock, allowedMs) });
    this.#services.index.setOnline(server, true);
    this.#fleet.linked(server, clock);
    link.tellInOrder(async () => {
      const [first, ...others] = await this.#liveDocuments(server);
      const more = others.map((documents): FromBroker => ({ t: "documents", documents }));
      return [{ t: "welcome", party, live: first ?? { grants: [], filed: [] }, clock: { ...clock, allowedMs } }, ...more];
    });
  }

  #admitCustomer(link: Link, { party }: PartySession): void {
    const links = this.#customers.get(party) ?? new Set();
    this.#customers.set(party, links.add(link));
    link.tell({ t: "welcome", party, live: { grants: [], filed: [] }, clock: null });
  }

  /** What a server needs of its live leases to take them up again, in messages of bounded size, each with the grants that it leans on. */
  async #liveDocuments(server: string): Promise<Documents[]> {
    const { store } = this.#services;
    const leases = await store.leasesServerMustKnow(server);
    const documents = await Promise.all(leases.map(({ id }) => briefOf(store, id)));
    const live = documents.map((ofLease) => ofLease.filter(({ kind }) => KIND_TABLE[kind].live));
    return Promise.all(pagesOf(live).map((page) => this.#withGrants(page)));
  }

  async #withGrants(filed: readonly FiledEnvelope[]): Promise<Documents> {
    const grants = await credentialsOf(this.#services).of(filed.map(({ envelope }) => envelope));
    return { grants: grants.map(({ envelope }) => envelope), filed: filed.map(({ envelope, at }) => ({ envelope, at })) };
  }

  async #answer(link: Link, session: PartySession, ref: number, take: () => Promise<Answer>): Promise<void> {
    const refused = (refusal: Refusal): void => {
      link.tell({ t: "answer", ref, error: refusalBody(refusal).error });
      this.#charge(link, SUBMIT_REFUSED_COST);
    };
    const leave = this.door.take("documents", holderOf(session));
    if (!leave)
      return refused(refuse("rate_limited", { retryAfterMs: 1_000, why: "too many documents of this party wait for their answers" }));
    try {
      const answer = await take();
      if (answer.ok) link.tell({ t: "answer", ref, answer: answer.answer });
      else refused(answer);
    } catch (error) {
      this.#failed("a document that came by a link failed", error, { party: session.party, ref, requestId: link.requestId });
      refused(refuse("unavailable"));
    } finally {
      leave();
    }
  }

  async #open(link: Link, session: PartySession, asked: Extract<ToBroker, { t: "channel-open" }>): Promise<void> {
    const opened = await this.channels.open(link, asked, {
      find: () => this.#serverOf(link, session, asked.lease),
      take: () => this.door.take("channels", holderOf(session)),
    });
    if (!opened) this.#charge(link, OPEN_REFUSED_COST);
  }

  /** The link of a lease's server, for a customer's key that has some business with the lease. */
  async #serverOf(link: Link, session: PartySession, lease: string): Promise<ChannelEnd | string> {
    const { scopes } = session.key;
    if (!scopes.includes("spend") && !scopes.includes("control")) return "the key may neither spend nor control";
    const row = (await this.#services.store.load("lease", [lease])).get(lease)?.data;
    if (!row || !isCustomer(readerOf(session), row)) return "no such lease";
    return this.#servers.get(row.server) ?? this.#fleet.reach(row.server, link);
  }

  /** A channel whose customer is linked to another broker, which has looked at what the customer may. */
  openFrom(end: FarEnd, { lease, session, server }: Omit<FarOpen, "t">): Promise<boolean> {
    const link = this.#servers.get(server);
    if (link) end.faces(link);
    return this.channels.open(
      end,
      { lease, session },
      {
        find: async () => link ?? NOT_CONNECTED,
        take: () => this.door.take("channels", `of ${server}`),
      },
    );
  }

  holds(server: string): boolean {
    return this.#servers.has(server);
  }

  /** The server is linked to another broker now. */
  letGo(server: string): void {
    const link = this.#servers.get(server);
    if (link) this.#close(link, "replaced");
  }

  #refuse(link: Link, refusal: Refusal): void {
    link.tell({ t: "refused", error: refusalBody(refusal).error });
    this.#close(link, "refused");
  }

  /** At once, whenever the pipe itself may say that it is closed. */
  #close(link: Link, why: Closing): void {
    link.close(why);
    this.#gone(link);
  }

  #gone(link: Link): void {
    link.gone();
    link.letGo();
    link.leave();
    this.#wills?.gone(link);
    this.channels.gone(link);
    const { server, session } = link;
    if (server !== null && this.#servers.get(server) === link) {
      this.#servers.delete(server);
      this.#fleet.unlinked(server);
      this.#services.index.setOnline(server, this.#fleet.isElsewhere(server));
    }
    const links = session && this.#customers.get(session.party);
    links?.delete(link);
    if (session && links?.size === 0) this.#customers.delete(session.party);
  }

  toServer(server: string, filed: readonly FiledEnvelope[]): void {
    this.#servers.get(server)?.tellInOrder(async () => [{ t: "documents", documents: await this.#withGrants(filed) }]);
  }

  event({ party, kind, lease, data, at }: MarketEvent): void {
    const facts = typeof data === "object" ? { ...data } : {};
    const message: FromBroker = { t: "event", event: { kind, lease, data: facts, at } };
    for (const link of this.#customers.get(party) ?? []) {
      const { session } = link;
      if (!session?.key.scopes.includes("read")) continue;
      if (!isBound(readerOf(session))) link.tell(message);
      else if (lease !== null) link.tellInOrder(async () => ((await this.#maySee(session, lease)) ? [message] : []));
    }
  }

  async #maySee(session: PartySession, lease: string): Promise<boolean> {
    const known = this.#sides.get(lease);
    const sides = known ?? (await this.#services.store.sidesOf([lease])).get(lease);
    if (!sides) return false;
    if (!known) this.#remember(lease, sides);
    return sees(readerOf(session), sides);
  }

  #remember(lease: string, { customer, account, label, owner, serverKey }: LeaseSides): void {
    for (const oldest of this.#sides.keys()) {
      if (this.#sides.size < LEASES_KEPT_MAX) break;
      this.#sides.delete(oldest);
    }
    this.#sides.set(lease, { customer, account, label, owner, serverKey });
  }

  /** Cuts what a key has open at this broker: links with their channels, event streams. */
  keyRevoked(key: string): void {
    this.live.revoked(key);
  }

  /** Cuts what was revoked at any broker, and lists a revoked server no more. To be called several times a second. */
  async cutRevoked(): Promise<number> {
    const { store, index, crypto, now } = this.#services;
    const at = now();
    const revoked = await store.keysRevokedSince((this.#askedAt ?? at) - COMMIT_WITHIN_MS);
    this.#askedAt = at;
    for (const { id } of revoked) this.keyRevoked(id);
    const listed = revoked.filter(({ role }) => role === "server").map(({ id }) => serverIdOf(crypto, id));
    const stale = listed.filter((id) => index.get(id) !== undefined);
    for (const { data } of stale.length > 0 ? (await store.load("server", stale)).values() : []) index.put(data);
    return 0;
  }

  /** Whoever is linked comes again, and is told everything. */
  dropAll(): void {
    for (const link of [...this.#servers.values(), ...[...this.#customers.values()].flatMap((links) => [...links])]) link.close("closing");
  }
}
