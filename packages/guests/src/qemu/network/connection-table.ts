/**
 * The kernel's table of the connections inside a machine's network (proc(5), net/tcp): what becomes of QEMU's end of one, of which QEMU
 * says nothing. Who controls the inputs: the guest, by what it takes and when it closes; the customer, by how many connections it makes.
 */
import { readFile } from "node:fs/promises";
import { innermostOf } from "../machine/box.ts";

const [LOCAL, REMOTE, QUEUES, INODE] = [1, 2, 4, 9];
/** Of a socket that no program has any more. */
const NOBODYS = "0";
const HEXADECIMAL = 16;
/** Nobody tells when bytes were read: it is looked at again after so long, and then after twice as long. */
const LOOK_MS_MIN = 5;
const LOOK_MS_MAX = 1_000;
/** A guest that never takes what was said holds no more than so many: of more the first is not waited for any longer. */
export const WAITING_MAX = 256;

/** One side of a connection, by its ends in the table's own words. By ports alone two may be the same: a guest's go to many addresses. */
interface Side {
  local: string;
  remote: string;
}

interface Entry extends Side {
  /** Sent by it, and not come to the other side. */
  unsent: number;
  /** Come to it, and not read by its program. */
  unread: number;
  isNobodys: boolean;
}

interface Waiting {
  /** The side that reads. */
  side: Side;
  /** Whether all has left the program that writes. */
  isWritten(): boolean;
  /** It has been seen that all has come to the side that reads: that is not read off one table, whose lines are not of one moment. */
  hasCome: boolean;
  done(): void;
}

const hexadecimal = (text: string | undefined): number => parseInt(text ?? "", HEXADECIMAL);
const digits = (value: number, count: number): string => value.toString(HEXADECIMAL).toUpperCase().padStart(count, "0");

/**
 * An IPv4 address and a port as the table has them: the four bytes as a number of the processor's, which is little-endian on all that this
 * runs on.
 */
export const endOf = (address: string, port: number): string =>
  `${address
    .split(".")
    .map((byte) => digits(Number(byte), 2))
    .toReversed()
    .join("")}:${digits(port, 4)}`;

function entryOf(line: string): Entry {
  const fields = line.trim().split(/\s+/);
  const [unsent, unread] = (fields[QUEUES] ?? "").split(":").map(hexadecimal);
  return {
    local: fields[LOCAL] ?? "",
    remote: fields[REMOTE] ?? "",
    unsent: unsent ?? 0,
    unread: unread ?? 0,
    isNobodys: fields[INODE] === NOBODYS,
  };
}

const entryFor = (entries: readonly Entry[], { local, remote }: Side): Entry | undefined =>
  entries.find((each) => each.local === local && each.remote === remote);

/** Of one machine. However many connections wait, the table is read for all of them at once. */
export class ConnectionTable {
  readonly #pid: number;
  readonly #waiting = new Set<Waiting>();
  #isLooking = false;
  #lookMs = LOOK_MS_MIN;

  /** `pid`: the first process of the machine's box. */
  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Null where the machine is gone. */
  async #read(): Promise<Entry[] | null> {
    const table = await readFile(`/proc/${await innermostOf(this.#pid)}/net/tcp`, "utf8").catch(() => null);
    return table === null ? null : table.trim().split("\n").slice(1).map(entryOf);
  }

  /** Whether no program has that side's socket any more. */
  async isNobodys(side: Side): Promise<boolean> {
    const entries = await this.#read();
    if (entries === null) return false;
    return entryFor(entries, side)?.isNobodys ?? true;
  }

  /**
   * Resolves when all that was written to that side was read by its program, or never will be, or too many wait. `isWritten`: nothing waits
   * in this one.
   */
  whenRead(side: Side, isWritten: () => boolean): Promise<void> {
    return new Promise((done) => {
      const [first] = this.#waiting;
      if (this.#waiting.size >= WAITING_MAX && first && this.#waiting.delete(first)) first.done();
      this.#waiting.add({ side, isWritten, hasCome: false, done });
      this.#lookMs = LOOK_MS_MIN;
      if (!this.#isLooking) void this.#look();
    });
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    while (this.#waiting.size > 0) {
      const asked = [...this.#waiting];
      const entries = await this.#read();
      const isNews = asked.map((each) => this.#judge(each, entries)).includes(true);
      if (isNews || this.#waiting.size === 0) continue;
      await new Promise((resolve) => setTimeout(resolve, this.#lookMs));
      this.#lookMs = Math.min(LOOK_MS_MAX, this.#lookMs * 2);
    }
    this.#isLooking = false;
  }

  /** Whether it has come further. */
  #judge(waiting: Waiting, entries: Entry[] | null): boolean {
    const { side, isWritten } = waiting;
    const reads = entries && entryFor(entries, side);
    const writes = entries && entryFor(entries, { local: side.remote, remote: side.local });
    const hadCome = waiting.hasCome;
    waiting.hasCome ||= isWritten() && (writes?.unsent ?? 0) === 0;
    const isRead = !reads || !writes || (hadCome && reads.unread === 0);
    if (isRead && this.#waiting.delete(waiting)) waiting.done();
    return isRead || waiting.hasCome !== hadCome;
  }
}
