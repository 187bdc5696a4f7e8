/**
 * The broker's ends of all links: logs daemons and customers in, hands their documents to the desk, pushes what concerns them, and passes channel
 * bytes between a lease's two parties unread. Who controls the inputs: whoever connects, every byte; sizes and rates are bounded here.
 */
import { refusalBody, refuse, serverIdOf, toHex, type Envelope, type Kind } from "@xenoservers/protocol";
import {
  parseChannelMessage,
  parseMessage,
  zToBroker,
  type FromBroker,
  type MarketInfo,
  type Pipe,
  type Timers,
  type ToBroker,
} from "@xenoservers/protocol/link";
import type { Desk } from "../desk/desk.ts";
import type { MarketEvent } from "../store/store.ts";
import type { Sessions } from "./sessions.ts";
import { TokenBucket } from "./token-bucket.ts";

const LOGIN_WITHIN_MS = 10_000;
const SESSIONS_PER_LINK_MAX = 128;
const EARLY_MESSAGES_MAX = 16;
const SUBMITS_PER_SECOND = 500;
/** What a server needs to take up a live lease again after either side was away. */
const LIVE_KINDS = new Set<Kind>(["purchase-order", "opening", "stop", "amendment", "reveal", "trace-request"]);

interface Link {
  pipe: Pipe;
  challenge: string;
  party: string | null;
  server: string | null;
  sessions: Set<string>;
  bucket: TokenBucket;
  open: boolean;
}

interface Route {
  customer: Link;
  server: Link;
}

export class LinkHub {
  readonly #desk: () => Desk;
  readonly #sessions: Sessions;
  readonly #market: () => Promise<MarketInfo>;
  readonly #timers: Timers;
  readonly #servers = new Map<string, Link>();
  readonly #customers = new Map<string, Set<Link>>();
  readonly #routes = new Map<string, Route>();
  /** Channels whose lease is being looked up, with what came meanwhile. */
  readonly #opening = new Map<string, { customer: Link; early: Uint8Array[] }>();

  constructor(desk: () => Desk, sessions: Sessions, market: () => Promise<MarketInfo>, timers: Timers) {
    this.#desk = desk;
    this.#sessions = sessions;
    this.#market = market;
    this.#timers = timers;
  }

  get counts() {
    return { servers: this.#servers.size, customers: this.#customers.size, channels: this.#routes.size };
  }

  accept(pipe: Pipe): void {
    const { crypto } = this.#desk().services;
    const link: Link = {
      pipe,
      challenge: toHex(crypto.randomBytes(32)),
      party: null,
      server: null,
      sessions: new Set(),
      bucket: new TokenBucket(SUBMITS_PER_SECOND, SUBMITS_PER_SECOND, this.#timers),
      open: true,
    };
    const giveUp = this.#timers.after(LOGIN_WITHIN_MS, () => link.party ?? pipe.close());
    pipe.onMessage((message) => {
      if (typeof message === "string") this.#receive(link, message).catch(() => pipe.close()); // the database is away: the other end tries again
      else this.#relay(link, message);
    });
    pipe.onClose(() => {
      giveUp();
      this.#gone(link);
    });
    this.#market().then(
      (market) => this.#send(link, { t: "challenge", challenge: link.challenge, market }),
      () => pipe.close(),
    );
  }

  #send(link: Link, message: FromBroker): void {
    link.pipe.send(JSON.stringify(message));
  }

  async #receive(link: Link, text: string): Promise<void> {
    const message = parseMessage(zToBroker, text);
    if (!message) return link.pipe.close();
    if (message.t === "hello") return this.#login(link, message);
    if (link.party === null) return link.pipe.close();
    switch (message.t) {
      case "submit":
        return this.#submit(link, message.ref, message.envelope);
      case "channel-open":
        return this.#openChannel(link, message.lease, message.session);
      case "channel-close":
        return this.#closeChannel(message.session, link, "closed by the other end");
      case "ping":
        return this.#send(link, { t: "pong" });
    }
  }

  async #login(link: Link, { login }: Extract<ToBroker, { t: "hello" }>): Promise<void> {
    const session = await this.#sessions.login(login, link.challenge);
    if (!session.ok || session.operator) {
      this.#send(link, { t: "refused", error: refusalBody(session.ok ? refuse("key_not_allowed", { kind: "login", role: "operator" }) : session).error });
      return link.pipe.close();
    }
    if (!link.open) return;
    link.party = session.party;
    const { store, index, crypto } = this.#desk().services;
    let live: Envelope[] = [];
    if (session.key!.role === "server") {
      link.server = serverIdOf(crypto, session.key!.id);
      const earlier = this.#servers.get(link.server);
      this.#servers.set(link.server, link);
      if (earlier && earlier !== link) earlier.pipe.close();
      index.setOnline(link.server, true);
      const leases = await store.leasesServerMustKnow(link.server);
      const documents = await Promise.all(leases.map((lease) => store.documentsOf(lease.id)));
      live = documents
        .flat()
        .filter(({ kind }) => LIVE_KINDS.has(kind))
        .map(({ envelope }) => envelope);
    } else {
      let links = this.#customers.get(session.party);
      if (!links) this.#customers.set(session.party, (links = new Set()));
      links.add(link);
    }
    this.#send(link, { t: "welcome", party: session.party, live });
  }

  async #submit(link: Link, ref: number, envelope: unknown): Promise<void> {
    if (!link.bucket.take()) return this.#send(link, { t: "answer", ref, error: refusalBody(refuse("rate_limited", { retryAfterMs: 1_000 })).error });
    try {
      const answer = await this.#desk().submit(envelope);
      this.#send(link, answer.ok ? { t: "answer", ref, answer: answer.answer } : { t: "answer", ref, error: refusalBody(answer).error });
    } catch {
      this.#send(link, { t: "answer", ref, error: refusalBody(refuse("unavailable")).error });
    }
  }

  async #openChannel(link: Link, lease: string, session: string): Promise<void> {
    const refused = (why: string) => this.#send(link, { t: "channel-close", session, why });
    if (this.#routes.has(session) || this.#opening.has(session) || link.sessions.size >= SESSIONS_PER_LINK_MAX) return refused("too many channels");
    const early: Uint8Array[] = [];
    this.#opening.set(session, { customer: link, early });
    const row = await this.#desk()
      .services.store.load("lease", [lease])
      .then(
        (rows) => rows.get(lease)?.data,
        () => undefined,
      );
    this.#opening.delete(session);
    if (!link.open) return;
    if (!row || row.customer !== link.party) return refused("no such lease");
    const server = this.#servers.get(row.server);
    if (!server) return refused("the server is not connected");
    this.#routes.set(session, { customer: link, server });
    link.sessions.add(session);
    server.sessions.add(session);
    this.#send(server, { t: "channel-open", lease, session });
    for (const message of early) server.pipe.send(message);
  }

  #relay(link: Link, message: Uint8Array): void {
    const parsed = parseChannelMessage(message);
    if (!parsed) return;
    const opening = this.#opening.get(parsed.session);
    if (opening?.customer === link && opening.early.length < EARLY_MESSAGES_MAX) opening.early.push(message);
    const route = this.#routes.get(parsed.session);
    if (route?.customer === link) route.server.pipe.send(message);
    else if (route?.server === link) route.customer.pipe.send(message);
  }

  #closeChannel(session: string, by: Link, why: string): void {
    const route = this.#routes.get(session);
    if (!route || (route.customer !== by && route.server !== by)) return;
    this.#routes.delete(session);
    route.customer.sessions.delete(session);
    route.server.sessions.delete(session);
    this.#send(route.customer === by ? route.server : route.customer, { t: "channel-close", session, why });
  }

  #gone(link: Link): void {
    link.open = false;
    for (const session of [...link.sessions]) this.#closeChannel(session, link, "the other end went away");
    if (link.server !== null && this.#servers.get(link.server) === link) {
      this.#servers.delete(link.server);
      this.#desk().services.index.setOnline(link.server, false);
    }
    if (link.party !== null) {
      const links = this.#customers.get(link.party);
      links?.delete(link);
      if (links?.size === 0) this.#customers.delete(link.party);
    }
  }

  toServer(server: string, documents: readonly Envelope[]): void {
    const link = this.#servers.get(server);
    if (link) this.#send(link, { t: "documents", documents: [...documents] });
  }

  event({ party, kind, lease, data, at }: MarketEvent): void {
    for (const link of this.#customers.get(party) ?? []) this.#send(link, { t: "event", event: { kind, lease, data: data as Record<string, unknown>, at } });
  }

  close(): void {
    for (const link of [...this.#servers.values(), ...[...this.#customers.values()].flatMap((links) => [...links])]) link.pipe.close();
  }
}
