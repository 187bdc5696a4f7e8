/**
 * All events of the market, read once per broker and handed to the streams that are open here. The database is asked again and again while
 * there are streams; hints, from this broker and others, only make it sooner. Who controls the inputs: whoever makes events fills the seats
 * of its own party. Bounds: what waits in a seat; one that overflows is emptied, and its stream reads the database instead.
 */
import { Ear } from "../hints/ear.ts";
import type { Hints } from "../hints/hints.ts";
import { startLoop, type Loop } from "../loops/loop.ts";
import { isBound, sees, type LeaseSides, type Reader } from "../store/reader.ts";
import type { Store, StoredEvent } from "../store/store.ts";

const POLL_MS = 250;
const PAGE = 1_000;
const WAITING_MAX = 256;

export class Seat {
  readonly reader: Reader;
  readonly leave: () => void;
  #waiting: StoredEvent[] = [];
  #hasMissed = false;
  #wake: () => void = () => {};

  constructor(reader: Reader, leave: (seat: Seat) => void) {
    this.reader = reader;
    this.leave = () => leave(this);
  }

  /** From here on nothing is missed, until `take` says so. */
  reset(): void {
    this.#waiting = [];
    this.#hasMissed = false;
  }

  put(event: StoredEvent): void {
    if (this.#hasMissed) return;
    if (this.#waiting.length >= WAITING_MAX) {
      this.#waiting = [];
      this.#hasMissed = true;
    } else this.#waiting.push(event);
    this.#wake();
  }

  /** What has come since; null: some of it was let go. Waits until there is something, or `over`. */
  async take(over: AbortSignal): Promise<StoredEvent[] | null> {
    if (this.#waiting.length === 0 && !this.#hasMissed && !over.aborted)
      await new Promise<void>((resolve) => {
        const woken = (): void => {
          over.removeEventListener("abort", woken);
          resolve();
        };
        this.#wake = woken;
        over.addEventListener("abort", woken);
      });
    return this.#hasMissed ? null : this.#waiting.splice(0);
  }
}

interface EventFeedParts {
  store: Store;
  hints: Hints;
  failed(error: unknown): void;
  /** Hints do not come. */
  deaf(error: unknown): void;
  pollMs?: number;
}

export class EventFeed {
  readonly #store: Store;
  readonly #hints: Hints;
  readonly #deaf: (error: unknown) => void;
  readonly #loop: Loop;
  readonly #seats = new Map<string, Set<Seat>>();
  /** Where all seats have heard of everything; null while nobody listens. */
  #place: string | null = null;
  #ear: Ear | null = null;

  constructor({ store, hints, failed, deaf, pollMs = POLL_MS }: EventFeedParts) {
    this.#store = store;
    this.#hints = hints;
    this.#deaf = deaf;
    this.#loop = startLoop(pollMs, () => this.#read(), failed);
  }

  /** A seat for what this reader may hear. What happened before has to be read from the store, after this and after each reset. */
  async join(reader: Reader): Promise<Seat> {
    if (this.#place === null) {
      const end = await this.#store.eventsEnd();
      this.#place ??= end;
    }
    const seat = new Seat(reader, (left) => this.#leave(left));
    this.#seats.set(reader.party, (this.#seats.get(reader.party) ?? new Set()).add(seat));
    this.#loop.wake();
    return seat;
  }

  /** A change with events was committed here: to be told to whoever reads, at any broker. Many at once are told once. */
  announce(): void {
    this.#loop.wake();
    this.#hints.hint("events");
  }

  async close(): Promise<void> {
    await this.#loop.stop();
    this.#ear?.close();
  }

  #leave(seat: Seat): void {
    const { party } = seat.reader;
    const seats = this.#seats.get(party);
    seats?.delete(seat);
    if (seats?.size === 0) this.#seats.delete(party);
    if (this.#seats.size === 0) this.#place = null;
  }

  /** How many events were passed on; 0: that was all. */
  async #read(): Promise<number> {
    const from = this.#place;
    if (from === null) return 0;
    this.#ear ??= new Ear({ hints: this.#hints, channel: "events", heard: () => this.#loop.wake(), failed: this.#deaf });
    const events = await this.#store.eventsOfAll(from, PAGE);
    const heard = events.filter(({ party }) => this.#seats.has(party));
    const wanted = this.#leasesToKnow(heard);
    const leases: ReadonlyMap<string, LeaseSides> = wanted.length === 0 ? new Map() : await this.#store.sidesOf(wanted);
    for (const event of heard) {
      const lease = event.lease === null ? undefined : leases.get(event.lease);
      for (const seat of this.#seats.get(event.party) ?? [])
        if (!isBound(seat.reader) || (lease && sees(seat.reader, lease))) seat.put(event);
    }
    // who came while this was read has read the store since
    if (this.#place !== null) this.#place = events.at(-1)?.cursor ?? from;
    return events.length < PAGE ? 0 : events.length;
  }

  #leasesToKnow(events: readonly StoredEvent[]): string[] {
    const bound = events.filter(({ party }) => [...(this.#seats.get(party) ?? [])].some(({ reader }) => isBound(reader)));
    return [...new Set(bound.flatMap(({ lease }) => lease ?? []))];
  }
}
