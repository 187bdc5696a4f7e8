/**
 * Pulls the bytes a job needs through the channel: several parts under way, resumable, each blob checked against its digest before anything uses
 * it. What goes wrong says by whose doing: bytes that are not the right ones are the customer's, a disk that does not take them is the host's. Who
 * controls the inputs: the customer, every byte.
 */
import { PART_BYTES_MAX, type Channel } from "@xenoservers/protocol/channel";
import type { Journal } from "../lease/journal.ts";

const PARTS_UNDER_WAY_MAX = 8;

export interface NeededBlob {
  digest: string;
  size: number;
}

export interface TransferFailure {
  by: "customer" | "host";
  why: string;
}

export class Transfer {
  readonly #journal: Journal;
  readonly #lease: string;
  readonly #channel: Channel;
  readonly #queue: { digest: string; offset: number; length: number }[] = [];
  readonly #expected = new Map<string, number>();
  #underWay = 0;
  #done!: (failure: TransferFailure | null) => void;
  /** Null when every blob is here and right; else what went wrong. */
  readonly finished: Promise<TransferFailure | null>;
  readonly #needed: readonly NeededBlob[];
  /** Whether one digest is named with two sizes: only one of them would be fetched, and counted. */
  readonly #ambiguous: boolean;

  constructor(journal: Journal, lease: string, channel: Channel, needed: readonly NeededBlob[]) {
    this.#journal = journal;
    this.#lease = lease;
    this.#channel = channel;
    this.#needed = [...new Map(needed.map((blob) => [blob.digest, blob])).values()];
    this.#ambiguous = new Set(needed.map(({ digest, size }) => `${digest}/${size}`)).size > this.#needed.length;
    this.finished = new Promise((resolve) => (this.#done = resolve));
  }

  #fail(by: TransferFailure["by"], why: string): void {
    this.#done({ by, why });
  }

  /** What a disk does not take ends the transfer as the host's doing. */
  async #onDisk(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#fail("host", `the server could not keep what was sent: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  start(): Promise<void> {
    if (!this.#ambiguous) return this.#onDisk(() => this.#begin());
    this.#fail("customer", "the same bytes are named with two sizes");
    return Promise.resolve();
  }

  async #begin(): Promise<void> {
    for (const { digest, size } of this.#needed) {
      const have = await this.#journal.blobSize(this.#lease, digest);
      if (have < 0 && size === 0) await this.#journal.writeBlob(this.#lease, digest, 0, new Uint8Array(0));
      // parts arrive in order on a channel, so what is there is a prefix; only whole parts are trusted to be complete
      for (let offset = have === size ? size : Math.max(0, Math.floor(have / PART_BYTES_MAX) * PART_BYTES_MAX); offset < size; offset += PART_BYTES_MAX) {
        this.#queue.push({ digest, offset, length: Math.min(PART_BYTES_MAX, size - offset) });
      }
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    while (this.#underWay < PARTS_UNDER_WAY_MAX && this.#queue.length > 0) {
      const part = this.#queue.shift()!;
      this.#underWay++;
      this.#expected.set(`${part.digest}/${part.offset}`, part.length);
      this.#channel.send({ t: "want", ...part });
    }
    if (this.#underWay === 0) await this.#check();
  }

  async #check(): Promise<void> {
    for (const { digest } of this.#needed) {
      if (!(await this.#journal.checkBlob(this.#lease, digest))) return this.#fail("customer", `the bytes of ${digest.slice(0, 12)} do not have that digest`);
    }
    this.#done(null);
  }

  async receive(digest: string, offset: number, bytes: Uint8Array): Promise<void> {
    const key = `${digest}/${offset}`;
    const length = this.#expected.get(key);
    if (length === undefined || length !== bytes.length) return this.#fail("customer", "bytes came that were not asked for");
    this.#expected.delete(key);
    await this.#onDisk(async () => {
      await this.#journal.writeBlob(this.#lease, digest, offset, bytes);
      this.#underWay--;
      await this.#ask();
    });
  }
}
