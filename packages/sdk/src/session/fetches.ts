/**
 * Pulls bytes by digest through a lease's channel: in parts, several under way, again after a lost link. Who controls the inputs: the
 * server.
 */
import { concatBytes, toHex } from "@xenoservers/protocol";
import { WANTED_BYTES, WANTS_UNDER_WAY_MAX, type Channel } from "@xenoservers/protocol/channel";
import type { Timers } from "@xenoservers/protocol/link";
import { systemCrypto } from "@xenoservers/protocol/system";
import { MarketError } from "../errors.ts";

/** The server gives other bytes than it signed, or none: what was promised has not come. */
export class NotDelivered extends MarketError {
  override name = "NotDelivered";
  readonly code = "not_delivered";
}

const RETRY_MS = 300;
const LOST_LINKS_MAX = 20;
/** A server that is asked, holds its channel up and sends nothing for so long is waited for no more. */
const SILENT_MS = 120_000;
const TRIES_MAX = 100;
/** A file of the guest is the largest piece there can be. */
const WHOLE_BYTES_MAX = 1024 * 1024 * 1024;

const digestOf = (bytes: Uint8Array): string => toHex(systemCrypto.sha256(bytes));

interface FetchesHost {
  timers: Timers;
  channel(): Channel | null;
  closed(): boolean;
}

export class Fetches {
  readonly #host: FetchesHost;
  /** By digest and offset: whoever wants what another waits for already has it with that one. */
  readonly #underWay = new Map<string, PromiseWithResolvers<Uint8Array>>();
  /** While something is under way. */
  #stopListening: (() => void) | null = null;

  constructor(host: FetchesHost) {
    this.#host = host;
  }

  receive(digest: string, offset: number, bytes: Uint8Array): void {
    const key = `${digest}/${offset}`;
    this.#underWay.get(key)?.resolve(bytes);
    if (this.#underWay.delete(key)) this.#listen();
  }

  /** From now on. */
  #listen(): void {
    this.#stopListening?.();
    const silent = (): void => this.#fail(new NotDelivered(`the server has sent nothing for ${SILENT_MS / 60_000} minutes`));
    this.#stopListening = this.#underWay.size === 0 ? null : this.#host.timers.after(SILENT_MS, silent);
  }

  /** The server has not what was asked for. */
  missing(why: string): void {
    this.#fail(new NotDelivered(`the server has not kept it: ${why}`));
  }

  /** The channel went down; what is wanted is asked for again on the next. */
  lost(): void {
    this.#fail(new Error("the link went down"));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#underWay.values()) reject(error);
    this.#underWay.clear();
    this.#listen();
  }

  /** Bytes of known size, checked against their digest; throws NotDelivered. */
  async file({ digest, size }: { digest: string; size: number }): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    const offsets = Array.from({ length: Math.ceil(size / WANTED_BYTES) }, (_, i) => i * WANTED_BYTES);
    const worker = async (): Promise<void> => {
      for (let offset = offsets.shift(); offset !== undefined; offset = offsets.shift()) {
        const length = Math.min(WANTED_BYTES, size - offset);
        const part = await this.#part(digest, offset, length);
        if (part.length !== length) throw new NotDelivered(`a file is shorter than the server signed`);
        bytes.set(part, offset);
      }
    };
    await Promise.all(Array.from({ length: WANTS_UNDER_WAY_MAX }, worker));
    if (digestOf(bytes) !== digest) throw new NotDelivered("a file that came back does not have the digest that the server signed");
    return bytes;
  }

  /** Bytes of unknown size, checked against their digest; throws NotDelivered. */
  async whole(digest: string): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (let offset = 0; ; offset += WANTED_BYTES) {
      const part = await this.#part(digest, offset, WANTED_BYTES);
      parts.push(part);
      if (part.length < WANTED_BYTES) break;
      if (offset > WHOLE_BYTES_MAX) throw new NotDelivered(`${digest.slice(0, 12)} is larger than any piece of a state`);
    }
    const bytes = concatBytes(...parts);
    if (digestOf(bytes) !== digest) throw new NotDelivered(`what the server sent is not ${digest.slice(0, 12)}`);
    return bytes;
  }

  #asked(channel: Channel, want: { digest: string; offset: number; length: number }): Promise<Uint8Array> {
    const key = `${want.digest}/${want.offset}`;
    const there = this.#underWay.get(key);
    if (there) return there.promise;
    const asked = Promise.withResolvers<Uint8Array>();
    this.#underWay.set(key, asked);
    if (this.#underWay.size === 1) this.#listen();
    void channel.send({ t: "want", ...want });
    return asked.promise;
  }

  async #part(digest: string, offset: number, length: number): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      const channel = this.#host.channel();
      if (channel) {
        try {
          return await this.#asked(channel, { digest, offset, length });
        } catch (error) {
          if (error instanceof NotDelivered) throw error;
          if (attempt >= LOST_LINKS_MAX) throw new NotDelivered("the link to the server goes down again and again", { cause: error });
        }
      }
      if (this.#host.closed() || attempt >= TRIES_MAX) throw new NotDelivered("the server is not reached");
      await new Promise<void>((resolve) => this.#host.timers.after(RETRY_MS, resolve));
    }
  }
}
