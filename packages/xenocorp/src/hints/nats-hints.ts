/**
 * Hints by NATS, on two subjects of the market's own, without a word in them. A connection that is lost is dialled again by whoever listens
 * or tells next, once in a while. Who controls the inputs: the NATS server, and whoever may publish there: anybody, where it asks for no
 * credentials. Bounds: the server delivers one message in a pause and channel, whatever is published; of what this broker tells, one
 * message a channel is under way at a time.
 */
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import type { ConnectionOptions, NatsConnection, TlsOptions } from "@nats-io/transport-node";
import { hostPort } from "../fleet/inner-link.ts";
import { HINT_PAUSE_MS, type Channel, type Hints } from "./hints.ts";
import { natsAuthenticator } from "./nats-credentials.ts";
import { NatsListening } from "./nats-listening.ts";
import { Pace } from "./pace.ts";

const DIAL_MS = 3_000;
const REDIAL_MS = 1_000;
/** A server that hangs is given up after three of these. */
const PING_MS = 5_000;

export interface NatsPlace {
  host: string;
  port: number;
  /** A file that only its owner may read; absent: the server asks for none. */
  credentials?: string | undefined;
  /** The authority that signed the server's certificate: demands TLS. Without it the server decides, and the system's authorities count. */
  caFile?: string | undefined;
}

interface NatsHintsParts {
  /** The market's origin: no other market hears or is heard. */
  origin: string;
  /** The server refuses something, and nobody waits for the answer. */
  failed(error: unknown): void;
  timers?: Timers;
}

/** One word of a subject, another for each market: an origin ends in a part of its own key. */
export const subjectOf = (origin: string, channel: Channel): string => `xeno.${origin.replace(/[^A-Za-z0-9-]/g, "_")}.${channel}`;

class NatsHints implements Hints {
  readonly #options: ConnectionOptions;
  readonly #origin: string;
  readonly #failed: (error: unknown) => void;
  readonly #timers: Timers;
  readonly #paces: Record<Channel, Pace>;
  readonly #listenings = new Set<NatsListening>();
  #dialled: Promise<NatsConnection> | null = null;
  #live: NatsConnection | null = null;
  #cancelRedial: () => void = () => {};
  #isClosed = false;

  constructor(options: ConnectionOptions, { origin, failed, timers = systemTimers }: NatsHintsParts) {
    this.#options = options;
    this.#origin = origin;
    this.#failed = failed;
    this.#timers = timers;
    const telling = (channel: Channel): Pace => new Pace(() => this.#tell(channel), timers, HINT_PAUSE_MS);
    this.#paces = { events: telling("events"), notes: telling("notes") };
  }

  hint(channel: Channel): void {
    this.#paces[channel].ask();
  }

  async #tell(channel: Channel): Promise<void> {
    const connection = await this.#connection();
    connection.publish(subjectOf(this.#origin, channel));
    await connection.flush();
  }

  async listen(channel: Channel, heard: () => void, lost: () => void): Promise<() => void> {
    const connection = await this.#connection();
    const subject = subjectOf(this.#origin, channel);
    const ended = (): void => {
      this.#listenings.delete(listening);
      lost();
    };
    const listening = new NatsListening({ connection, subject, timers: this.#timers, heard, lost: ended });
    this.#listenings.add(listening);
    const stop = (): void => {
      this.#listenings.delete(listening);
      listening.stop();
    };
    try {
      await listening.begin();
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /** The connection that there is, or a new one; throws where there is none now. */
  async #connection(): Promise<NatsConnection> {
    if (this.#isClosed) throw new Error("this broker closes");
    const connection = await (this.#dialled ??= this.#dial());
    if (connection.isClosed()) throw new Error("the connection to NATS was lost");
    return connection;
  }

  async #dial(): Promise<NatsConnection> {
    try {
      const { connect } = await import("@nats-io/transport-node");
      const connection = await connect(this.#options);
      void this.#watch(connection);
      this.#live = connection;
      if (this.#isClosed) await connection.close();
      return connection;
    } catch (error) {
      this.#redialLater();
      throw error;
    }
  }

  async #watch(connection: NatsConnection): Promise<void> {
    void connection.closed().then(() => {
      this.#live = null;
      this.#redialLater();
      for (const listening of this.#listenings) listening.end();
    });
    for await (const status of connection.status()) if (status.type === "error") this.#failed(status.error);
  }

  #redialLater(): void {
    if (!this.#isClosed) this.#cancelRedial = this.#timers.after(REDIAL_MS, () => (this.#dialled = null));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pace of Object.values(this.#paces)) pace.stop();
    for (const listening of this.#listenings) listening.stop();
    this.#cancelRedial();
    await this.#live?.close();
  }
}

/** Throws where the credentials cannot be used; a server that is away is nothing to wait for. */
export async function openNatsHints({ host, port, credentials, caFile }: NatsPlace, parts: NatsHintsParts): Promise<Hints> {
  // the library tells TLS names alone: an address would be taken for localhost
  const tls: TlsOptions & { host: string } = { host, ...(caFile === undefined ? {} : { caFile }) };
  return new NatsHints(
    {
      ...{ servers: hostPort(host, port), name: "xenocorp", noEcho: true, ignoreClusterUpdates: true },
      ...{ reconnect: false, timeout: DIAL_MS, pingInterval: PING_MS },
      ...(credentials === undefined ? {} : { authenticator: await natsAuthenticator(credentials) }),
      ...(caFile === undefined ? {} : { tls }),
    },
    parts,
  );
}
