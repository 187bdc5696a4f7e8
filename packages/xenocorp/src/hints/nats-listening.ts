/**
 * One listener to a subject of NATS. The server is asked for one message at a time: whatever strangers publish, no more is delivered.
 *
 *   subscribed for one message ──message──▶ heard, rests ──pause──▶ subscribed for one more, and heard once for what came between
 */
import type { Timers } from "@xenoservers/protocol/link";
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { HINT_PAUSE_MS } from "./hints.ts";

interface NatsListeningParts {
  connection: NatsConnection;
  subject: string;
  timers: Timers;
  heard(): void;
  lost(): void;
}

export class NatsListening {
  readonly #parts: NatsListeningParts;
  #subscription: Subscription | null = null;
  #refused: Error | null = null;
  #isOver = false;
  #cancel: () => void = () => {};

  constructor(parts: NatsListeningParts) {
    this.#parts = parts;
  }

  /** Returns once the server has it; throws where the server refuses it. */
  async begin(): Promise<void> {
    await this.#subscribe();
    if (this.#refused) throw this.#refused;
  }

  async #subscribe(): Promise<void> {
    const { connection, subject } = this.#parts;
    this.#subscription = connection.subscribe(subject, { max: 1, callback: (error) => this.#told(error) });
    await connection.flush();
  }

  #told(error: Error | null): void {
    if (this.#isOver) return;
    if (error) {
      this.#refused = error;
      return this.end();
    }
    this.#parts.heard();
    this.#cancel = this.#parts.timers.after(HINT_PAUSE_MS, () => void this.#goOn());
  }

  async #goOn(): Promise<void> {
    try {
      await this.#subscribe();
      if (!this.#isOver) this.#parts.heard();
    } catch {
      this.end();
    }
  }

  /** Nothing comes any more, and whoever listens is told. */
  end(): void {
    if (this.#isOver) return;
    this.stop();
    this.#parts.lost();
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
    if (!this.#parts.connection.isClosed()) this.#subscription?.unsubscribe();
  }
}
