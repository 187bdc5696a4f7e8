/**
 * One link to the broker for all leases that this program follows, open while there is one: a hundred leases cost one connection. Who
 * controls the inputs: the broker (events).
 */
import type { LinkClient, LinkEvent } from "@xenoservers/protocol/link";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { openLink } from "../connect.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { LeaseSession, type SessionHandlers } from "../session/lease-session.ts";
import type { Stream } from "../session/streams.ts";

/** What follows one lease until it is closed. */
export interface Opened {
  session: LeaseSession;
  /** Lets go; the lease runs on. */
  close(): void;
}

export class SharedLink {
  readonly #client: MarketClient;
  readonly #sessions = new Set<LeaseSession>();
  /** Of orders that wait for room. */
  readonly #rings = new Set<() => void>();
  #link: LinkClient | null = null;

  constructor(client: MarketClient) {
    this.#client = client;
  }

  open(bound: BoundOrder, job: BuiltWork | null, handlers: SessionHandlers, from?: Record<Stream, number>): Opened {
    const session = new LeaseSession(this.#client, bound, job, handlers, this.#up(), from);
    this.#sessions.add(session);
    return { session, close: () => this.#close(session) };
  }

  /** Has `ring` called at each event and whenever the link is up, until what it returns is called. */
  hears(ring: () => void): () => void {
    const own = (): void => ring();
    this.#rings.add(own);
    this.#up();
    return () => {
      if (this.#rings.delete(own)) this.#stopIfIdle();
    };
  }

  #up(): LinkClient {
    return (this.#link ??= openLink(this.#client, {
      onUp: () => {
        this.#sessions.forEach((session) => session.hint());
        this.#rings.forEach((ring) => ring());
      },
      onEvent: (event) => this.#hint(event),
    }));
  }

  /** Each event is about one lease: the others are not made to look again. */
  #hint(event: LinkEvent): void {
    for (const session of this.#sessions) if (session.lease === event.lease) session.hint(event);
    this.#rings.forEach((ring) => ring());
  }

  #close(session: LeaseSession): void {
    session.close();
    if (this.#sessions.delete(session)) this.#stopIfIdle();
  }

  #stopIfIdle(): void {
    if (this.#sessions.size > 0 || this.#rings.size > 0) return;
    this.#link?.stop();
    this.#link = null;
  }
}
