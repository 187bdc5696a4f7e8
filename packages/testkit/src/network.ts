/**
 * A seeded network of message pipes: every message is delayed, text may be doubled or overtake other text, a pipe may be cut at any time
 * (what is under way is lost), and a host may be unreachable for a while. Channel bytes keep their order, as on any stream.
 */
import type { Pipe } from "@xenoservers/protocol/link";
import type { SimClock } from "./clock.ts";
import type { Random } from "./random.ts";

interface Faults {
  doubled: number;
  overtaken: number;
}

class End implements Pipe {
  peer!: End;
  open = true;
  readonly #network: Network;
  #message: (message: string | Uint8Array) => void = () => {};
  #close: () => void = () => {};
  #lastArrival = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  send(message: string | Uint8Array): void {
    if (!this.open) return;
    const { clock, random, faults } = this.#network;
    const text = typeof message === "string";
    const copies = text && random.chance(faults.doubled) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      let arrival = clock.now() + random.between(1, 40);
      if (!text || !random.chance(faults.overtaken)) arrival = Math.max(arrival, this.#lastArrival);
      this.#lastArrival = Math.max(this.#lastArrival, arrival);
      const target = this.peer;
      clock.after(arrival - clock.now(), () => {
        if (target.open) target.#message(message);
      });
    }
  }

  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.#message = handler;
  }

  onClose(handler: () => void): void {
    this.#close = handler;
  }

  close(): void {
    this.cut();
    this.#network.clock.after(this.#network.random.between(1, 40), () => this.peer.cut());
  }

  cut(): void {
    if (!this.open) return;
    this.open = false;
    this.#network.pipes.delete(this);
    this.#close();
  }
}

export class Network {
  readonly clock: SimClock;
  readonly random: Random;
  faults: Faults = { doubled: 0, overtaken: 0 };
  readonly pipes = new Set<End>();
  readonly #unreachableUntil = new Map<string, number>();
  #accept: ((pipe: Pipe) => void) | null = null;
  readonly #hosts = new Map<End, string>();

  constructor(clock: SimClock, random: Random) {
    this.clock = clock;
    this.random = random;
  }

  /** Who takes connections; null while the broker is down. */
  listen(accept: ((pipe: Pipe) => void) | null): void {
    this.#accept = accept;
    if (accept === null) for (const pipe of this.pipes) pipe.cut();
  }

  async connect(host: string): Promise<Pipe> {
    await this.clock.sleep(this.random.between(1, 40));
    if (this.#accept === null || (this.#unreachableUntil.get(host) ?? 0) > this.clock.now()) throw new Error("unreachable");
    const [near, far] = this.pair(host);
    this.#accept(far);
    return near;
  }

  /** Both ends of a pipe that is up already. */
  pair(host: string): [near: Pipe, far: Pipe] {
    const [near, far] = [new End(this), new End(this)];
    near.peer = far;
    far.peer = near;
    for (const end of [near, far]) {
      this.pipes.add(end);
      this.#hosts.set(end, host);
    }
    return [near, far];
  }

  /** Cuts a host off for a while. */
  partition(host: string, ms: number): void {
    this.#unreachableUntil.set(host, this.clock.now() + ms);
    for (const pipe of this.pipes) if (this.#hosts.get(pipe) === host) pipe.cut();
  }

  heal(): void {
    this.#unreachableUntil.clear();
    this.faults = { doubled: 0, overtaken: 0 };
  }

  isReachable(host: string): boolean {
    return this.#accept !== null && (this.#unreachableUntil.get(host) ?? 0) <= this.clock.now();
  }
}
