/**
 * Pulls the bytes a job needs through the channel: several parts under way, resumable, each blob checked against its digest before anything
 * uses it. One that is wrong is asked for again; one that stays wrong is what its customer has. Who controls the inputs: the customer,
 * every byte.
 */
import { PART_BYTES_MAX, WANTS_UNDER_WAY_MAX, type Channel } from "@xenoservers/protocol/channel";
import type { NeededBlob } from "../drivers/driver.ts";
import type { Journal } from "../lease/journal.ts";

/** The channel lets nothing be changed on the way: more tries than this bring nothing else. */
const TRIES_MAX = 3;

/** Bytes that are not the right ones are the customer's doing; a disk that does not take them is the host's. */
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
  #tries = 0;
  #abandoned = false;
  #done: (failure: TransferFailure | null) => void = () => {};
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
    if (!this.#ambiguous) return this.#onDisk(() => this.#fetch(this.#needed));
    this.#fail("customer", "the same bytes are named with two sizes");
    return Promise.resolve();
  }

  async #fetch(blobs: readonly NeededBlob[]): Promise<void> {
    this.#tries++;
    for (const { digest, size } of blobs) {
      const have = await this.#journal.blobSize(this.#lease, digest);
      if (have < 0 && size === 0) await this.#journal.writeBlob(this.#lease, digest, 0, new Uint8Array(0));
      // parts arrive in order on a channel, so what is there is a prefix; only whole parts are trusted to be complete
      const from = have === size ? size : Math.max(0, Math.floor(have / PART_BYTES_MAX) * PART_BYTES_MAX);
      for (let offset = from; offset < size; offset += PART_BYTES_MAX)
        this.#queue.push({ digest, offset, length: Math.min(PART_BYTES_MAX, size - offset) });
    }
    await this.#ask();
  }

  async #ask(): Promise<void> {
    for (let part = this.#next(); part; part = this.#next()) {
      this.#underWay++;
      this.#expected.set(`${part.digest}/${part.offset}`, part.length);
      void this.#channel.send({ t: "want", ...part });
    }
    if (this.#underWay === 0) await this.#check();
  }

  #next() {
    return this.#underWay < WANTS_UNDER_WAY_MAX ? this.#queue.shift() : undefined;
  }

  async #check(): Promise<void> {
    const wrong: NeededBlob[] = [];
    for (const blob of this.#needed) if (!(await this.#journal.checkBlob(this.#lease, blob.digest))) wrong.push(blob);
    const [first] = wrong;
    if (!first) return this.#done(null);
    if (this.#tries < TRIES_MAX) return this.#fetch(wrong);
    this.#fail("customer", `the bytes that came for ${first.digest.slice(0, 12)} have another digest, each of ${TRIES_MAX} times`);
  }

  async receive(digest: string, offset: number, bytes: Uint8Array): Promise<void> {
    const key = `${digest}/${offset}`;
    const length = this.#expected.get(key);
    if (length === undefined || this.#abandoned) return; // not asked for: nothing is kept of it
    if (length !== bytes.length)
      return this.#fail("customer", `a part of ${digest.slice(0, 12)} came that is shorter or longer than it was said to be`);
    this.#expected.delete(key);
    await this.#onDisk(async () => {
      await this.#journal.writeBlob(this.#lease, digest, offset, bytes);
      this.#underWay--;
      await this.#ask();
    });
  }

  /** Another one has begun: what still comes here is not for anybody. */
  abandon(): void {
    this.#abandoned = true;
  }
}
