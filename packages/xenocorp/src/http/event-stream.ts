/**
 * A party's events as server-sent events (WHATWG HTML section 9.2): durable, in order, from a cursor on; over when the key that asked for
 * them ends, or its reader does not read. Who controls the inputs: the holder of the session. Bounds: what waits for a reader (nothing is
 * written before it has taken what was written before); how many there are bounds who calls it.
 */
import type { ServerResponse } from "node:http";
import { refusalBody, refuse, type Refusal } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import { isAfter } from "../store/cursors.ts";
import type { Store, StoredEvent } from "../store/store.ts";
import type { EventFeed, Seat } from "./event-feed.ts";
import type { LiveKeys } from "./live-keys.ts";
import { readerOf, type PartySession } from "./sessions.ts";

const BEAT_MS = 15_000;
const PAGE = 200;
/** How long a reader may take nothing of what waits for it. */
const UNREAD_MS_MAX = 30_000;

export interface StreamParts {
  store: Store;
  feed: EventFeed;
  live: LiveKeys;
  timers: Timers;
}

type Out = Pick<ServerResponse, "write" | "end" | "destroy" | "once" | "off" | "writableNeedDrain" | "destroyed">;

class Stream {
  readonly #out: Out;
  readonly #timers: Timers;
  readonly #over = new AbortController();
  /** The last event that was written. */
  #cursor: string | null;

  constructor(out: Out, timers: Timers, after: string | null) {
    this.#out = out;
    this.#timers = timers;
    this.#cursor = after;
    out.once("close", () => this.#over.abort());
  }

  /** Ends it, with the reason as its last event. What is not read by then goes after a while. */
  cut(why: Refusal): void {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    this.#out.end(`event: cut\ndata: ${JSON.stringify(refusalBody(why))}\n\n`);
    const callOff = this.#timers.after(UNREAD_MS_MAX, () => this.#out.destroy());
    this.#out.once("close", callOff);
  }

  async run(store: Store, seat: Seat): Promise<void> {
    let callOff = this.#timers.after(BEAT_MS, () => this.#beat((next) => (callOff = next)));
    try {
      while (!this.#over.signal.aborted) {
        seat.reset();
        await this.#catchUp(store, seat);
        for (let events = await seat.take(this.#over.signal); events !== null && !this.#over.signal.aborted;) {
          await this.#write(events);
          events = await seat.take(this.#over.signal);
        }
      }
    } catch {
      this.cut(refuse("unavailable"));
    } finally {
      callOff();
    }
  }

  #beat(again: (callOff: () => void) => void): void {
    if (!this.#out.writableNeedDrain) this.#out.write(": beat\n\n");
    again(this.#timers.after(BEAT_MS, () => this.#beat(again)));
  }

  async #catchUp(store: Store, { reader }: Seat): Promise<void> {
    for (let count = PAGE; count === PAGE && !this.#over.signal.aborted;) {
      const events = await store.events(reader, this.#cursor, PAGE);
      if (events === null) return this.cut(refuse("cursor_expired"));
      count = events.length;
      await this.#write(events);
    }
  }

  async #write(events: readonly StoredEvent[]): Promise<void> {
    for (const { cursor, kind, lease, data, at } of events) {
      if (this.#over.signal.aborted) return;
      if (!isAfter(cursor, this.#cursor)) continue;
      this.#cursor = cursor;
      const hasRoom = this.#out.write(`id: ${cursor}\ndata: ${JSON.stringify({ cursor, kind, lease, data, at })}\n\n`);
      if (!hasRoom) await this.#drained();
    }
  }

  /** Waits until the reader has taken what was written, or the stream is over. */
  async #drained(): Promise<void> {
    const { signal } = this.#over;
    const callOff = this.#timers.after(UNREAD_MS_MAX, () =>
      this.cut(refuse("rate_limited", { retryAfterMs: 1_000, why: "the stream was not read; go on from the last cursor" })),
    );
    await new Promise<void>((done) => {
      const resolve = (): void => {
        this.#out.off("drain", resolve);
        signal.removeEventListener("abort", resolve);
        done();
      };
      if (signal.aborted) return done();
      this.#out.once("drain", resolve);
      signal.addEventListener("abort", resolve);
    });
    callOff();
  }
}

/** Writes events until the stream is over; returns then. */
export async function streamEvents(
  out: Out,
  { store, feed, live, timers }: StreamParts,
  session: PartySession,
  after: string | null,
): Promise<void> {
  const stream = new Stream(out, timers, after);
  const letGo = live.hold(session.key, (why) => stream.cut(why));
  let seat: Seat | null = null;
  try {
    seat = await feed.join(readerOf(session));
    await stream.run(store, seat);
  } catch {
    stream.cut(refuse("unavailable"));
  } finally {
    seat?.leave();
    letGo();
  }
}
