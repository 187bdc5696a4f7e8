/**
 * Every connection of the guests of this server, in a file of its owner's. The file is bounded in bytes and age. What is too much goes from
 * those leases that wrote most, the oldest first: no guest's flood pushes out what is known of another's. What went still counts in the
 * month's allowance. Who controls the inputs: guests (how many connections, where to, how many bytes).
 */
import { appendFile, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { jsonIn } from "@xenoservers/protocol";
import { ifThere, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import type { Connection } from "@xenoservers/guests";
import { z } from "zod";

type Log = (what: string, facts: Record<string, unknown>) => void;

interface EgressBounds {
  bytesMax: number;
  ageMsMax: number;
}

/** About 800,000 connections; longer than the longest lease and whatever may be said of it later. */
const BOUNDS: EgressBounds = { bytesMax: 128 * 1024 * 1024, ageMsMax: 400 * 86_400_000 };
/** Of the bound is left when it was reached, so that the file is written anew seldom. */
const LEFT_PART = 3 / 4;
const WRITE_BYTES = 256 * 1024;

const EGRESS_LOG = "egress.jsonl";
/** Bytes of this month whose lines are gone. */
const EGRESS_MONTH = "egress-month.json";
const zConnection: z.ZodType<Connection> = z.object({
  ...{ at: z.number(), endedAt: z.number(), lease: z.string() },
  ...{ address: z.string(), name: z.string().nullable(), port: z.number(), from: z.number(), bytes: z.number() },
});
const zMonth = z.object({ month: z.string(), bytes: z.number() });
const lineOf = (connection: Connection): string => `${JSON.stringify(connection)}\n`;
const month = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** What left the machine, for its owner: who was behind an address and a time, and how much of the month's allowance is used. */
export class EgressLog {
  readonly #folder: string;
  readonly #log: Log;
  readonly #bounds: EgressBounds;
  #month = "";
  #bytes = 0;
  #size = 0;
  /** The size at which the file is looked at again. */
  #boundAt: number;
  #written: Promise<void> = Promise.resolve();

  constructor(folder: string, log: Log, bounds = BOUNDS) {
    this.#folder = folder;
    this.#log = log;
    this.#bounds = bounds;
    this.#boundAt = bounds.bytesMax;
  }

  async open(): Promise<void> {
    this.#month = month(Date.now());
    this.#bytes = await this.#goneThisMonth();
    let unreadable = 0;
    for await (const { endedAt, bytes } of readEgressLog(this.#folder, () => unreadable++))
      if (month(endedAt) === this.#month) this.#bytes += bytes;
    if (unreadable > 0) {
      this.#log("lines of the record of guests' connections cannot be read", { file: this.#file, lines: unreadable });
      // the next connection begins a line of its own
      await appendFile(this.#file, "\n");
    }
    await this.#bound();
  }

  get #file(): string {
    return path.join(this.#folder, EGRESS_LOG);
  }

  get #monthFile(): string {
    return path.join(this.#folder, EGRESS_MONTH);
  }

  record(connection: Connection): void {
    const isNewMonth = month(connection.endedAt) !== this.#month;
    if (isNewMonth) {
      this.#month = month(connection.endedAt);
      this.#bytes = 0;
    }
    this.#bytes += connection.bytes;
    this.#written = this.#written
      .then(() => this.#append(lineOf(connection), isNewMonth))
      .catch((error: Error) =>
        this.#log("a guest's connection could not be written down", { lease: connection.lease, error: error.message }),
      );
  }

  async #append(line: string, isNewMonth: boolean): Promise<void> {
    await appendFile(this.#file, line, { mode: 0o600 });
    this.#size += line.length;
    if (isNewMonth || this.#size > this.#boundAt) await this.#bound();
  }

  /** Everything that was recorded is written. */
  written(): Promise<void> {
    return this.#written;
  }

  get bytesThisMonth(): number {
    return month(Date.now()) === this.#month ? this.#bytes : 0;
  }

  async #goneThisMonth(): Promise<number> {
    const gone = zMonth.safeParse(jsonIn((await readIfThere(this.#monthFile)) ?? "")).data;
    return gone?.month === this.#month ? gone.bytes : 0;
  }

  /** Writes the file anew without what is too old or too much. What fails, such as on a full disk, is tried again a while later. */
  async #bound(): Promise<void> {
    this.#size = (await ifThere(stat(this.#file)))?.size ?? 0;
    const part = `${this.#file}.part`;
    try {
      await this.#rewrite(part);
      this.#boundAt = this.#bounds.bytesMax;
    } catch (error) {
      this.#boundAt = this.#size + this.#bounds.bytesMax * (1 - LEFT_PART);
      await rm(part, { force: true }).catch(() => {});
      const why = error instanceof Error ? error.message : String(error);
      this.#log("the record of guests' connections is too long and cannot be shortened", { file: this.#file, error: why });
    }
  }

  async #rewrite(part: string): Promise<void> {
    const from = Date.now() - this.#bounds.ageMsMax;
    const target = this.#size > this.#bounds.bytesMax ? this.#bounds.bytesMax * LEFT_PART : Infinity;
    const [bytesOf, isAnyOld] = await this.#bytesByLease(from);
    if (target === Infinity && !isAnyOld) return;
    const share = fairShare([...bytesOf.values()], target);
    await rm(part, { force: true });
    const gone = { lines: 0, bytesThisMonth: 0, leases: new Set<string>() };
    const kept = new LinesFile(await open(part, "wx", 0o600));
    try {
      for await (const connection of readEgressLog(this.#folder, () => {})) {
        const line = lineOf(connection);
        const left = bytesOf.get(connection.lease) ?? 0;
        const isOld = connection.endedAt < from;
        if (!isOld && left <= share) {
          await kept.add(line);
          continue;
        }
        gone.lines++;
        if (month(connection.endedAt) === this.#month) gone.bytesThisMonth += connection.bytes;
        if (isOld) continue;
        gone.leases.add(connection.lease);
        bytesOf.set(connection.lease, left - line.length);
      }
    } finally {
      await kept.close();
    }
    // before the lines go: what is counted twice after a crash is to nobody's cost but the guests'
    if (gone.bytesThisMonth > 0) {
      const bytes = (await this.#goneThisMonth()) + gone.bytesThisMonth;
      await writeWhole(this.#monthFile, JSON.stringify({ month: this.#month, bytes }));
    }
    await rename(part, this.#file);
    this.#size = kept.bytes;
    const leases = [...gone.leases].slice(0, LEASES_NAMED_MAX);
    this.#log("the record of guests' connections was too long or too old: some of it went", { lines: gone.lines, leases });
  }

  async #bytesByLease(from: number): Promise<[Map<string, number>, boolean]> {
    const bytesOf = new Map<string, number>();
    let isAnyOld = false;
    for await (const connection of readEgressLog(this.#folder, () => {})) {
      if (connection.endedAt < from) isAnyOld = true;
      else bytesOf.set(connection.lease, (bytesOf.get(connection.lease) ?? 0) + lineOf(connection).length);
    }
    return [bytesOf, isAnyOld];
  }
}

const LEASES_NAMED_MAX = 8;

/** The most that each may have so that all together have no more than `target`. */
export function fairShare(sizes: readonly number[], target: number): number {
  let left = target;
  const ascending = sizes.toSorted((a, b) => a - b);
  for (const [i, size] of ascending.entries()) {
    const share = left / (ascending.length - i);
    if (size > share) return share;
    left -= size;
  }
  return Infinity;
}

/** A file of lines that is written in pieces. */
class LinesFile {
  readonly #handle: FileHandle;
  #waiting: string[] = [];
  #chars = 0;
  bytes = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async add(line: string): Promise<void> {
    this.#waiting.push(line);
    this.#chars += line.length;
    if (this.#chars >= WRITE_BYTES) await this.#write();
  }

  async #write(): Promise<void> {
    const piece = Buffer.from(this.#waiting.join(""));
    [this.#waiting, this.#chars] = [[], 0];
    this.bytes += piece.length;
    await this.#handle.writeFile(piece);
  }

  async close(): Promise<void> {
    try {
      await this.#write();
      await this.#handle.datasync();
    } finally {
      await this.#handle.close();
    }
  }
}

function connectionOf(line: string): Connection | null {
  try {
    return zConnection.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * Every connection that guests made, oldest first. `folder`: the daemon's `vm` folder. What is no connection, such as a line that was being
 * written when the power went, is told and passed over: neither the daemon nor a complaint waits for a person to mend the file.
 */
export async function* readEgressLog(folder: string, onUnreadable: (line: string) => void): AsyncGenerator<Connection> {
  const file = await ifThere(open(path.join(folder, EGRESS_LOG)));
  if (!file) return;
  for await (const line of file.readLines()) {
    const connection = connectionOf(line);
    if (connection) yield connection;
    else if (line !== "") onUnreadable(line);
  }
}
