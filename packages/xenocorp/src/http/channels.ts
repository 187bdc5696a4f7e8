/**
 * Channels between a lease's customer and its server: the broker passes their bytes on unread. Who controls the inputs: both ends, every
 * byte. Bounds: channels of one link, messages that come before a channel's lease is looked up, bytes that an end has not read.
 */
import { parseChannelMessage, type FromBroker } from "@xenoservers/protocol/link";

const CHANNELS_PER_LINK_MAX = 128;
/** Whoever opens a channel says one thing, a handshake, before it is answered. */
const EARLY_MESSAGES_MAX = 2;
const EARLY_BYTES_MAX = 1024;

/** Twice what ends that keep to their window (packages/protocol/src/channel) have under way. */
const UNREAD_BYTES_MAX = 1024 * 1024;

/** A link, or the other end of a channel that is linked to another broker. */
export interface ChannelEnd {
  readonly open: boolean;
  /** Sessions of its channels. */
  readonly channels: Set<string>;
  /** Channels whose lease is being looked up. */
  channelsOpening: number;
  /** Whether so much waits for its reader that no more is worth sending. */
  readonly isFull: boolean;
  tell(message: FromBroker): void;
  /** `taken`: called once the bytes wait here no longer. */
  pass(bytes: Uint8Array, taken: () => void): void;
  /** One of its channels is over, whoever was told. */
  left?(): void;
}

interface Ends {
  customer: ChannelEnd;
  server: ChannelEnd;
  /** What waits for either end to read it. */
  unread: { customer: number; server: number };
  /** Gives back its place. */
  leave(): void;
}

export class Channels {
  readonly #routes = new Map<string, Ends>();
  /** Channels whose lease is being looked up, with what came meanwhile. */
  readonly #opening = new Map<string, { customer: ChannelEnd; early: Uint8Array[]; isClosed: boolean }>();

  get size(): number {
    return this.#routes.size;
  }

  /** `find` looks for the server's end, or says why there is none; `take` takes a place for one more. Whether it was opened. */
  async open(
    link: ChannelEnd,
    { lease, session }: { lease: string; session: string },
    { find, take }: { find: () => Promise<ChannelEnd | string>; take: () => (() => void) | null },
  ): Promise<boolean> {
    const refused = (why: string): false => (link.tell({ t: "channel-close", session, why }), false);
    if (link.channels.size + link.channelsOpening >= CHANNELS_PER_LINK_MAX) return refused("too many channels");
    if (this.#routes.has(session) || this.#opening.has(session)) return refused("this session is in use");
    const leave = take();
    if (!leave) return refused("too many channels of this party, or in all: close some");
    const opening = { customer: link, early: [] as Uint8Array[], isClosed: false };
    this.#opening.set(session, opening);
    link.channelsOpening++;
    const server = await find().catch(() => "the broker cannot look it up now");
    link.channelsOpening--;
    this.#opening.delete(session);
    const why = typeof server === "string" ? server : "the server is not connected";
    if (typeof server === "string" || !server.open || !link.open || opening.isClosed) {
      leave();
      if (typeof server !== "string") server.left?.();
      // nobody is told of what its own end has closed; what would have been refused counts as refused
      if (opening.isClosed) return typeof server !== "string";
      return link.open ? refused(why) : false;
    }
    const ends: Ends = { customer: link, server, leave, unread: { customer: 0, server: 0 } };
    this.#routes.set(session, ends);
    link.channels.add(session);
    server.channels.add(session);
    server.tell({ t: "channel-open", lease, session });
    for (const message of opening.early) this.#pass(ends, "server", message);
    return true;
  }

  /** Whether there was a channel for it. */
  relay(link: ChannelEnd, message: Uint8Array): boolean {
    const session = parseChannelMessage(message)?.session;
    if (session === undefined || !link.open) return false;
    const opening = this.#opening.get(session);
    if (opening?.customer === link) {
      if (opening.early.length < EARLY_MESSAGES_MAX && message.length <= EARLY_BYTES_MAX) opening.early.push(message);
      return true;
    }
    const ends = this.#routes.get(session);
    if (!ends || (ends.customer !== link && ends.server !== link)) return false;
    const to = ends.customer === link ? "server" : "customer";
    // whoever does not read loses the channel, which can be opened again, and holds up nobody else
    if (ends[to].isFull || ends.unread[to] > UNREAD_BYTES_MAX) this.#cut(session, ends, [link], "the other end does not read");
    else this.#pass(ends, to, message);
    return true;
  }

  #pass({ unread, ...links }: Ends, to: "customer" | "server", message: Uint8Array): void {
    unread[to] += message.length;
    links[to].pass(message, () => void (unread[to] -= message.length));
  }

  close(session: string, by: ChannelEnd, why: string): void {
    const opening = this.#opening.get(session);
    if (opening?.customer === by) opening.isClosed = true;
    const ends = this.#routes.get(session);
    if (ends && (ends.customer === by || ends.server === by))
      this.#cut(session, ends, [ends.customer === by ? ends.server : ends.customer], why);
  }

  #cut(session: string, { customer, server, leave }: Ends, told: readonly ChannelEnd[], why: string): void {
    this.#routes.delete(session);
    leave();
    customer.channels.delete(session);
    server.channels.delete(session);
    for (const link of told) link.tell({ t: "channel-close", session, why });
    for (const end of [customer, server]) end.left?.();
  }

  /** All channels of a link that has gone. */
  gone(link: ChannelEnd): void {
    for (const session of [...link.channels]) this.close(session, link, "the other end went away");
  }
}
