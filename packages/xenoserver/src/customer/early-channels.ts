/**
 * Channels of customers who are quicker than this server: the broker has bound their lease, and its purchase order is still looked at here.
 * They wait for that in place of being turned away and coming again. Who controls the inputs: the customer, every channel and message.
 */
import type { Pipe } from "@xenoservers/protocol/link";

/** Of one lease. Its customer has one, and comes again with others. */
const WAITING_MAX = 4;

/** Keeps the one message that comes before there is an answer; whoever says more is not waited for. */
class EarlyPipe implements Pipe {
  readonly #pipe: Pipe;
  #handler: ((message: string | Uint8Array) => void) | null = null;
  #first: string | Uint8Array | null = null;

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
    pipe.onMessage((message) => {
      if (this.#handler) this.#handler(message);
      else if (this.#first === null) this.#first = typeof message === "string" ? message : message.slice();
      else pipe.close();
    });
  }

  send(message: string | Uint8Array): void {
    this.#pipe.send(message);
  }

  close(): void {
    this.#pipe.close();
  }

  onMessage(handler: (message: string | Uint8Array) => void): void {
    this.#handler = handler;
    const first = this.#first;
    this.#first = null;
    if (first !== null) handler(first);
  }

  onClose(handler: (why?: string) => void): void {
    this.#pipe.onClose(handler);
  }
}

export class EarlyChannels {
  readonly #waiting = new Map<string, Set<Pipe>>();

  /** While that is decided, channels to this lease wait. `decided`: called afterwards with each of them that is still there. */
  async during(lease: string, deciding: Promise<void>, decided: (pipe: Pipe) => void): Promise<void> {
    // told again meanwhile: they wait for the first
    if (this.#waiting.has(lease)) return deciding;
    const pipes = new Set<Pipe>();
    this.#waiting.set(lease, pipes);
    try {
      await deciding;
    } finally {
      this.#waiting.delete(lease);
      for (const pipe of pipes) decided(pipe);
    }
  }

  /** False where nothing is decided about that lease, or more wait than one customer has. */
  waits(lease: string, pipe: Pipe): boolean {
    const pipes = this.#waiting.get(lease);
    if (!pipes || pipes.size >= WAITING_MAX) return false;
    const early = new EarlyPipe(pipe);
    pipes.add(early);
    pipe.onClose(() => pipes.delete(early));
    return true;
  }
}
