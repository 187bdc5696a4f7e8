/**
 * How much may come of leases that move here: of each no more than belongs to what was bought, and of all together what the owner lets be
 * taken of the disk. Room is held for what the other server says that there is, and for more as more comes: who sells more disk than there
 * is can move what is mostly empty. Who controls the inputs: the servers that hand over, the same owner's, every byte; the owner (what
 * stays free).
 */
import type { Arriving, CarriedMib } from "../drivers/driver.ts";
import type { RoomRules } from "../lease/kept-room.ts";

const MIB = 1024 * 1024;
/** Files that one guest is carried in. */
const NAMES_MAX = 256;
/** A piece takes as much of a folder or a journal, however short it is. */
const PIECE_BYTES_LEAST = 512;
/** After so many bytes it is seen again what is free. */
const LOOK_AGAIN_BYTES = 16 * MIB;

/** Room for more is held in steps of that. */
const STEP_BYTES = 16 * MIB;

/** Images that it was made of lie beside what was bought. */
const IS_IMAGE = /^(?:blob-|base\.|seed\.)/;

type Rules = Pick<RoomRules, "leftFreeBytes" | "freeBytes">;

const mib = (bytes: number): string => `${Math.max(0, Math.floor(bytes / MIB))} MiB`;

/** `now`: what the other server says that it has of `kept`. */
interface Wanted extends CarriedMib {
  now: number;
}

/** One that comes. */
export class Bounded implements Arriving {
  readonly #into: Arriving;
  readonly #room: ArrivingRoom;
  readonly #names = new Set<string>();
  readonly #keptBytesMax: number;
  #heldBytes: number;
  readonly #sentBytesMax: number;
  #bytes = 0;
  /** Without images. */
  #keptBytes = 0;
  #lookAt = LOOK_AGAIN_BYTES;

  constructor(room: ArrivingRoom, into: Arriving, { now, kept, sent }: Wanted) {
    this.#room = room;
    this.#into = into;
    this.#heldBytes = now * MIB;
    this.#keptBytesMax = kept * MIB;
    this.#sentBytesMax = sent * MIB;
  }

  /** What it may take of the disk yet. */
  get toComeBytes(): number {
    return Math.max(0, this.#heldBytes - this.#keptBytes);
  }

  async add(name: string, bytes: Uint8Array): Promise<void> {
    this.#names.add(name);
    if (this.#names.size > NAMES_MAX) throw new Error(`it sends more than ${NAMES_MAX} files`);
    const taken = Math.max(bytes.length, PIECE_BYTES_LEAST);
    this.#bytes += taken;
    if (!IS_IMAGE.test(name)) this.#keptBytes += taken;
    if (this.#bytes > this.#sentBytesMax)
      throw new Error(`it sends more than belongs to what was ordered: over ${mib(this.#sentBytesMax)}`);
    const moreBytes = Math.min(this.#keptBytes, this.#keptBytesMax) - this.#heldBytes;
    if (moreBytes > 0) {
      const step = Math.max(moreBytes, Math.min(STEP_BYTES, this.#keptBytesMax - this.#heldBytes));
      await this.#room.holdMore(step);
      this.#heldBytes += step;
    }
    if (this.#bytes >= this.#lookAt) {
      this.#lookAt = this.#bytes + LOOK_AGAIN_BYTES;
      await this.#room.look();
    }
    await this.#into.add(name, bytes);
  }

  whole(): Arriving {
    return this.#into;
  }

  /** All of it has come, or none does: what it takes is what lies there. */
  end(): void {
    this.#room.end(this);
  }

  async discard(): Promise<void> {
    this.end();
    await this.#into.discard();
  }
}

export class ArrivingRoom {
  readonly #rules: () => Rules;
  readonly #coming = new Set<Bounded>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(rules: () => Rules) {
    this.#rules = rules;
  }

  /** Throws, in words, where there is no room for what it has now beside what comes already. */
  hold(wanted: Wanted, arrive: () => Promise<Arriving>): Promise<Bounded> {
    const of = { ...wanted, now: Math.min(wanted.now, wanted.kept) };
    return this.#inTurn(async () => {
      await this.#need(of.now * MIB, "");
      const bounded = new Bounded(this, await arrive(), of);
      this.#coming.add(bounded);
      return bounded;
    });
  }

  /** Throws, in words, where there is no room for so much more of one that comes. */
  holdMore(bytes: number): Promise<void> {
    return this.#inTurn(() => this.#need(bytes, " more"));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #need(bytes: number, more: "" | " more"): Promise<void> {
    const { freeBytes, leftFreeBytes } = this.#rules();
    const free = await freeBytes();
    const others = [...this.#coming].reduce((sum, { toComeBytes }) => sum + toComeBytes, 0);
    if (free - leftFreeBytes - others >= bytes) return;
    throw new Error(
      `its disk has no room for it: it takes ${mib(bytes)}${more}, ${mib(free)} are free, of which ${mib(leftFreeBytes)} are to stay so ` +
        `(disk.left_free_gib) and ${mib(others)} are for what comes already`,
    );
  }

  /** Throws, in words, where what is to stay free is being taken. */
  async look(): Promise<void> {
    const { freeBytes, leftFreeBytes } = this.#rules();
    const free = await freeBytes();
    if (free < leftFreeBytes)
      throw new Error(`its disk is full: ${mib(free)} are free, ${mib(leftFreeBytes)} are to stay so (disk.left_free_gib)`);
  }

  /** It came, or does not come. */
  end(bounded: Bounded): void {
    this.#coming.delete(bounded);
  }
}
