/** Runs a broker's part of the fleet: its rhythms, the inner door, and the way to links at other brokers. */
import type { Crypto } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import type { Pool } from "pg";
import type { Services } from "../desk/round.ts";
import type { LinkHub } from "../http/link-hub.ts";
import { Ear } from "../hints/ear.ts";
import type { Hints } from "../hints/hints.ts";
import { startLoop, type Loop } from "../loops/loop.ts";
import { FarEnd } from "./far-end.ts";
import { Fleet } from "./fleet.ts";
import { FleetStore } from "./fleet-store.ts";
import { dialInner, hostPort, innerKey, openInnerDoor, type InnerDoor } from "./inner-link.ts";
import { NOT_CONNECTED, type LinkFleet } from "./link-fleet.ts";
import { SequencerPlace } from "./place.ts";

const READ_PAUSE_MS = 250;
const WRITE_PAUSE_MS = 500;
const BEAT_PAUSE_MS = 1_000;
const FOLLOW_PAUSE_MS = 5_000;
const TIDY_PAUSE_MS = 10_000;

/** What a listener to hints that hears none is called. */
export const DEAF = "hints of other brokers are not heard";

/** Where this broker listens for the others, and where they reach it when that is not the same. */
export interface InnerOptions {
  host?: string;
  port?: number;
  announced?: { host: string; port: number };
}

interface FleetRunParts {
  pool: Pool;
  hints: () => Hints;
  services: () => Services;
  hub: () => LinkHub;
  timers: Timers;
  failed(what: string): (error: unknown) => void;
}

export class FleetRun {
  readonly fleet: Fleet;
  readonly place: SequencerPlace;
  readonly #parts: FleetRunParts;
  readonly #store: FleetStore;
  #door: InnerDoor | null = null;
  #loops: Loop[] = [];
  #writing: Loop | null = null;
  #ear: Ear | null = null;

  constructor(parts: FleetRunParts, crypto: Crypto) {
    this.#parts = parts;
    this.#store = new FleetStore(parts.pool);
    const monotonicMs = (): number => performance.now();
    this.fleet = new Fleet({
      store: this.#store,
      ...{ services: parts.services, hub: parts.hub, crypto, monotonicMs },
      wake: () => this.#writing?.wake(),
      hint: () => parts.hints().hint("notes"),
    });
    this.place = new SequencerPlace(this.#store, this.fleet.id, monotonicMs);
  }

  /** Whether this broker, of all, is to do it now. */
  async hasDuty(name: string, forMs: number): Promise<boolean> {
    return (await this.#store.takeDuty(name, this.fleet.id, forMs)) !== null;
  }

  /** What the hub is given. */
  get links(): LinkFleet {
    const { fleet } = this;
    return {
      linked: (server, clock) => fleet.linked(server, clock),
      unlinked: (server) => fleet.unlinked(server),
      isElsewhere: (server) => fleet.isElsewhere(server),
      reach: async (server, near) => {
        const address = await fleet.addressOf(server);
        if (address === null) return NOT_CONNECTED;
        const stream = await dialInner(this.#key, address).catch(() => null);
        if (!stream) return NOT_CONNECTED;
        const end = new FarEnd(stream, { ...this.#ends, server });
        end.faces(near);
        return end;
      },
    };
  }

  get #key(): Uint8Array {
    const { crypto, keys } = this.#parts.services();
    return innerKey(crypto, keys.secret);
  }

  get #ends() {
    const { hub, timers } = this.#parts;
    return {
      ...{ channels: hub().channels, timers },
      opened: (end: FarEnd, { lease, session, server }: { lease: string; session: string; server: string }): void =>
        void hub().openFrom(end, { lease, session, server }),
    };
  }

  /** Before anyone is heard: from here on this broker knows of the others, and they of it. */
  async join({ host = "127.0.0.1", port = 0, announced }: InnerOptions): Promise<void> {
    this.#door = await openInnerDoor(this.#key, { host, port }, (stream) => void new FarEnd(stream, { ...this.#ends, server: "" }));
    await this.fleet.join(announced ? hostPort(announced.host, announced.port) : this.#door.address);
    await this.fleet.follow();
    const { failed } = this.#parts;
    const reading = startLoop(READ_PAUSE_MS, () => this.fleet.read(), failed("what other brokers noted cannot be read"));
    this.#writing = startLoop(WRITE_PAUSE_MS, () => this.fleet.write(), failed("this broker's links cannot be noted"));
    this.#ear = new Ear({ hints: this.#parts.hints(), channel: "notes", heard: () => reading.wake(), failed: failed(DEAF) });
    this.#loops = [
      reading,
      this.#writing,
      startLoop(BEAT_PAUSE_MS, async () => (await this.fleet.beat(), 0), failed("this broker cannot say that it runs")),
      startLoop(FOLLOW_PAUSE_MS, async () => (await this.fleet.follow(), 0), failed("offers and routes cannot be read")),
      startLoop(TIDY_PAUSE_MS, async () => (await this.fleet.tidy(), 0), failed("brokers that are gone cannot be forgotten")),
    ];
  }

  /** Once nobody is linked here any more. */
  async close(): Promise<void> {
    this.#ear?.close();
    await Promise.all(this.#loops.map((loop) => loop.stop()));
    await this.fleet.leave().catch(() => {}); // the others see that it is silent
    await this.#door?.close();
  }
}
