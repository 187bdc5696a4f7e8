/**
 * A domain whose host has hardly any room left for its disks. dom0's kernel stops no domain for that: it would answer the guest's writes
 * with errors, and give an image's overlay up. So the domain is paused before, and goes on where it was. Who controls the inputs: the
 * owner, by what else lies on that file system; the guest, how fast it writes.
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { FullDisk } from "../qemu/machine/full-disk.ts";
import { writeOwn } from "../write-own.ts";
import { isThere } from "./domain-disk.ts";

const MIB = 1024 * 1024;
/** Of the looks while it stands still, how often it is paused again where it goes. */
const PAUSE_LOOKS = 8;

export interface RoomRules {
  /** A domain stands still where less is free: more than it can write until it is paused. */
  lowBytes: number;
  /** It goes on where so much is free again. */
  roomBytes: number;
  /** How long it waits for that; absent: as long as a machine of QEMU's. */
  waitMsMax?: number;
}

export const ROOM: RoomRules = { lowBytes: 256 * MIB, roomBytes: 512 * MIB };

interface RoomOf {
  /** The domain's own. */
  folder: string;
  /** Idempotent. */
  pause(): Promise<void>;
  /** Nobody made room in time. */
  over(): Promise<void>;
}

export class DomainRoom {
  readonly #of: RoomOf;
  readonly #lowBytes: number;
  readonly #disk: FullDisk;
  #isLooking = false;
  #waited = 0;

  constructor(of: RoomOf, { lowBytes, roomBytes, waitMsMax }: RoomRules = ROOM) {
    this.#of = of;
    this.#lowBytes = lowBytes;
    this.#disk = new FullDisk(of.folder, waitMsMax, roomBytes);
  }

  /** It stands still, and the daemon that comes next knows why. */
  get #mark(): string {
    return path.join(this.#of.folder, "no-room");
  }

  /** Where an earlier daemon paused it. */
  async takeUp(): Promise<void> {
    if (await isThere(this.#mark)) this.#disk.met();
  }

  /** Called with why it stands still, and with null when it can be resumed. At once where it stands still now. */
  onChange(told: (why: string | null) => void): void {
    this.#disk.onChange(told);
  }

  /** To be called often: one look at a time. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      await (this.#disk.isMet ? this.#wait() : this.#watch());
    } finally {
      this.#isLooking = false;
    }
  }

  async #watch(): Promise<void> {
    if (this.#disk.freeBytes() >= this.#lowBytes) return;
    // a disk that takes no new file is no reason to let it run
    const marked = await writeOwn(this.#mark, "").catch((error: Error) => error);
    await this.#of.pause();
    this.#disk.met();
    if (marked instanceof Error) throw marked;
  }

  /** What resumed it meanwhile, such as the end of a snapshot, did so in vain. */
  async #wait(): Promise<void> {
    if (this.#disk.look()) return this.#of.over();
    if (!this.#disk.isMet) return rm(this.#mark, { force: true });
    if (++this.#waited % PAUSE_LOOKS === 0) await this.#of.pause();
  }
}
