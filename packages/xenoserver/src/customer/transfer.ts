/**
 * Pulls the bytes a job needs through the channel: several parts under way, each blob from where it was, checked against its digest with
 * its last byte and before anything uses it. One that is wrong is asked for again from its start, for what was there of it may have been
 * the wrong part; one that stays wrong is what its customer has. Who controls the inputs: the customer, every byte.
 */
import { WANTED_BYTES, WANTS_UNDER_WAY_MAX, type Channel } from "@xenoservers/protocol/channel";
import type { NeededBlob } from "../drivers/driver.ts";
import type { ArrivingBlob } from "../lease/arriving-blob.ts";
import type { Journal } from "../lease/journal.ts";
import type { Bringer } from "../lease/kept-inputs.ts";

/** The channel lets nothing be changed on the way: more tries than this bring nothing else. */
const TRIES_MAX = 3;

/** Bytes that are not the right ones are the customer's doing; a disk that does not take them is the host's. */
export interface TransferFailure {
  by: "customer" | "host";
  why: string;
}

interface Destination {
  lease: string;
  bringer: Bringer;
  /** What comes is kept for its customer's next lease. */
  keeps: boolean;
}

interface Coming extends NeededBlob {
  needed: NeededBlob;
  blob: ArrivingBlob;
  /** Up to where it was asked for. */
  asked: number;
}

interface Part {
  of: Coming;
  offset: number;
  length: number;
}

export class Transfer {
  readonly #journal: Journal;
  readonly #lease: string;
  readonly #bringer: Bringer;
  readonly #keeps: boolean;
  readonly #channel: Channel;
  readonly #todo: NeededBlob[];
  readonly #tries = new Map<string, number>();
  /** In the order in which they come. */
  readonly #asked: Part[] = [];
  readonly #open = new Set<Coming>();
  #coming: Coming | null = null;
  /** Asked for, and not yet on disk. */
  #underWay = 0;
  #isOver = false;
  /** One thing at a time is done to the disk. */
  #turn: Promise<void> = Promise.resolve();
  #done: (failure: TransferFailure | null) => void = () => {};
  /** Null when every blob is here and right; else what went wrong. */
  readonly finished: Promise<TransferFailure | null>;
  /** Whether one digest is named with two sizes: only one of them would be fetched, and counted. */
  readonly #ambiguous: boolean;

  constructor(journal: Journal, { lease, bringer, keeps }: Destination, channel: Channel, needed: readonly NeededBlob[]) {
    this.#journal = journal;
    this.#lease = lease;
    this.#bringer = bringer;
    this.#keeps = keeps;
    this.#channel = channel;
    this.#todo = [...new Map(needed.map((blob) => [blob.digest, blob])).values()];
    this.#ambiguous = new Set(needed.map(({ digest, size }) => `${digest}/${size}`)).size > this.#todo.length;
    this.finished = new Promise((resolve) => (this.#done = resolve));
  }

  #end(failure: TransferFailure | null): void {
    this.#isOver = true;
    this.#done(failure);
  }

  #fail(by: TransferFailure["by"], why: string): void {
    this.#end({ by, why });
  }

  /** After what was begun before; what a disk does not take ends the transfer as the host's doing. */
  #onDisk(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      try {
        if (!this.#isOver) await work();
      } catch (error) {
        this.#fail("host", `the server could not keep what was sent: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (this.#isOver) await this.#close();
    });
    return this.#turn;
  }

  async #close(): Promise<void> {
    for (const { blob } of this.#open) await blob.close().catch(() => {});
    this.#open.clear();
  }

  start(): Promise<void> {
    if (!this.#ambiguous) return this.#onDisk(() => this.#ask());
    this.#fail("customer", "the same bytes are named with two sizes");
    return Promise.resolve();
  }

  async #ask(): Promise<void> {
    while (this.#underWay < WANTS_UNDER_WAY_MAX && !this.#isOver) {
      const part = await this.#next();
      if (!part) break;
      const { of, offset, length } = part;
      this.#underWay++;
      this.#asked.push(part);
      void this.#channel.send({ t: "want", digest: of.digest, offset, length });
    }
    if (this.#underWay === 0 && !this.#isOver) this.#end(null);
  }

  async #next(): Promise<Part | null> {
    for (;;) {
      const of = this.#coming;
      if (of && of.asked < of.size) {
        const [offset, length] = [of.asked, Math.min(WANTED_BYTES, of.size - of.asked)];
        of.asked += length;
        return { of, offset, length };
      }
      const needed = this.#todo.shift();
      if (!needed || this.#isOver) return null;
      const blob = await this.#journal.arriving(this.#lease, this.#bringer, needed, this.#keeps && !needed.isDrivers);
      this.#coming = { ...needed, needed, blob, asked: blob.size };
      this.#open.add(this.#coming);
      if (blob.size === needed.size) await this.#whole(this.#coming);
    }
  }

  async #whole(of: Coming): Promise<void> {
    const { blob, digest } = of;
    this.#open.delete(of);
    if (await blob.finish()) return;
    const tries = (this.#tries.get(digest) ?? 0) + 1;
    this.#tries.set(digest, tries);
    if (tries < TRIES_MAX) this.#todo.unshift(of.needed);
    else this.#fail("customer", `the bytes that came for ${digest.slice(0, 12)} have another digest, each of ${TRIES_MAX} times`);
  }

  /** Resolves when it is on disk; of what was not asked for nothing is kept. */
  receive(digest: string, offset: number, bytes: Uint8Array): Promise<void> {
    const isIt = ({ of, offset: at }: Part): boolean => of.digest === digest && at === offset;
    const [first] = this.#asked;
    if (this.#isOver || !first || !this.#asked.some(isIt)) return Promise.resolve();
    const about = digest.slice(0, 12);
    if (!isIt(first)) this.#fail("customer", `a part of ${about} came before others that were asked for first`);
    else if (first.length !== bytes.length)
      this.#fail("customer", `a part of ${about} came that is shorter or longer than it was said to be`);
    else this.#asked.shift();
    return this.#onDisk(async () => {
      const { of } = first;
      await of.blob.append(bytes);
      this.#underWay--;
      if (of.blob.size === of.size) await this.#whole(of);
      await this.#ask();
    });
  }

  /** Another one has begun, or its channel is gone: what still comes here is not for anybody. Resolves when nothing is written any more. */
  abandon(): Promise<void> {
    this.#isOver = true;
    return this.#onDisk(async () => {});
  }
}
