/**
 * A machine whose host has no room left for its disk. QEMU stops it before the guest sees an error, and it goes on where it was. Who
 * controls the inputs: the owner, by what else lies on that file system; no guest writes more than its lease paid for.
 */
import { statfsSync } from "node:fs";

/** Less would be used up at once, and the machine would stop again. */
const ROOM_BYTES = 64 * 1024 * 1024;
/** How long an owner has to make room before the lease ends as its server's failure. */
const WAIT_MS_MAX = 10 * 60_000;

export const NO_ROOM = "the server's disk is full: the machine stands still until there is room, and is not billed meanwhile";

export class FullDisk {
  readonly #folder: string;
  readonly #waitMsMax: number;
  readonly #roomBytes: number;
  #told: (why: string | null) => void = () => {};
  #since: number | null = null;

  /** `roomBytes`: it goes on when so much is free. */
  constructor(folder: string, waitMsMax = WAIT_MS_MAX, roomBytes = ROOM_BYTES) {
    this.#folder = folder;
    this.#waitMsMax = waitMsMax;
    this.#roomBytes = roomBytes;
  }

  get isMet(): boolean {
    return this.#since !== null;
  }

  /** Called with why it stands still, and with null when there is room again. At once where it stands still now. */
  onChange(told: (why: string | null) => void): void {
    this.#told = told;
    if (this.#since !== null) told(NO_ROOM);
  }

  /** QEMU has stopped the machine for it. Idempotent. */
  met(): void {
    if (this.#since !== null) return;
    this.#since = performance.now();
    this.#told(NO_ROOM);
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return bavail * bsize;
  }

  /** True where it has waited for too long. */
  look(): boolean {
    if (this.#since === null) return false;
    if (this.freeBytes() < this.#roomBytes) return performance.now() - this.#since > this.#waitMsMax;
    this.#since = null;
    this.#told(null);
    return false;
  }
}
