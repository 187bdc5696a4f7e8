/**
 * What became of each job of a map, so that a later call pays for nothing that ran: which order was signed for which work, the lease that
 * it came to, and whether that is over. An order stands there before it is sent. A job is known by the digest of what is to run and, where
 * that is the same for several inputs, by which of them it is; the place of an input among the others says nothing. Who controls the
 * inputs: this machine's disk.
 */
import * as z from "zod";
import { KeptError } from "../../errors.ts";
import type { JobResult } from "../job-result.ts";
import { resultIn, resultText, type KeptResult } from "./kept-result.ts";

/** Where it is kept; nobody else has it open. */
export interface JournalPlace {
  /** Null: there is none yet. */
  read(): Promise<string | null>;
  /** Whole, or not at all. */
  write(text: string): Promise<void>;
  readResult(key: string): Promise<string | null>;
  writeResult(key: string, text: string): Promise<void>;
  dropResult(key: string): Promise<void>;
  close(): Promise<void>;
}

const zHex = z.string().regex(/^[0-9a-f]{64}$/);
const zNanos = z.string().regex(/^\d{1,30}$/);
const zEntry = z.strictObject({
  digest: zHex,
  /** The latest that was signed for it; it may not have been sent. */
  order: zHex.nullable(),
  /** As far as it is known here: an order can move on. */
  lease: zHex.nullable(),
  /** For that order. */
  holdNanos: zNanos,
  /** By all that is over. */
  paidNanos: zNanos,
  /** Its result is final, and is not paid again. */
  isOver: z.boolean(),
  /** The folder that its files came to; null: they came to the program. */
  out: z.string().nullable(),
});
const zJournal = z.strictObject({
  version: z.literal(1),
  origin: z.string(),
  party: z.string(),
  /** The hold that its orders draw on; null: none is open. */
  batch: zHex.nullable(),
  entries: z.array(zEntry),
});
/** One job's line. */
export type JournalEntry = z.infer<typeof zEntry>;
type Kept = z.infer<typeof zJournal>;

/** Of which market, and whose. */
export interface JournalOwner {
  origin: string;
  party: string;
}

function parsed(text: string, { origin, party }: JournalOwner): Kept {
  let found: Kept;
  try {
    found = zJournal.parse(JSON.parse(text));
  } catch (cause) {
    throw new KeptError("what is kept under this name is no map that can be read here: choose another name", { cause });
  }
  if (found.origin === origin && found.party === party) return found;
  throw new KeptError(`the map of this name is of ${found.party} in the market ${found.origin}: choose another name, or that context`);
}

export class MapJournal {
  readonly #place: JournalPlace;
  readonly #kept: Kept;
  /** By key: a digest, and which of the jobs that have it. */
  readonly #entries = new Map<string, JournalEntry>();
  readonly #keys = new Map<JournalEntry, string>();
  /** How many of each digest were taken. */
  readonly #taken = new Map<string, number>();
  #writing: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  private constructor(place: JournalPlace, kept: Kept) {
    this.#place = place;
    this.#kept = kept;
    const counts = new Map<string, number>();
    for (const entry of kept.entries) {
      const nth = counts.get(entry.digest) ?? 0;
      counts.set(entry.digest, nth + 1);
      this.#name(entry, nth);
    }
  }

  static async open(place: JournalPlace, owner: JournalOwner): Promise<MapJournal> {
    const text = await place.read();
    return new MapJournal(place, text === null ? { version: 1, ...owner, batch: null, entries: [] } : parsed(text, owner));
  }

  get batch(): string | null {
    return this.#kept.batch;
  }

  set batch(id: string | null) {
    this.#kept.batch = id;
  }

  /** What was paid, and what is held for what may be under way. */
  get money(): { paidNanos: bigint; heldNanos: bigint } {
    const sum = (of: (entry: JournalEntry) => string): bigint => this.#kept.entries.reduce((all, entry) => all + BigInt(of(entry)), 0n);
    return { paidNanos: sum(({ paidNanos }) => paidNanos), heldNanos: sum((entry) => (isUnderWay(entry) ? entry.holdNanos : "0")) };
  }

  /** The line of the next input that is this work; a new one where there is none left. */
  take(digest: string): JournalEntry {
    const nth = this.#taken.get(digest) ?? 0;
    this.#taken.set(digest, nth + 1);
    const known = this.#entries.get(keyOf(digest, nth));
    if (known) return known;
    const entry: JournalEntry = { digest, order: null, lease: null, holdNanos: "0", paidNanos: "0", isOver: false, out: null };
    this.#kept.entries.push(entry);
    this.#name(entry, nth);
    return entry;
  }

  /** Resolves when what stands here now is kept; what comes meanwhile is written together. */
  save(): Promise<void> {
    this.#next ??= (async () => {
      await this.#writing?.catch(() => {});
      this.#next = null;
      this.#writing = this.#place.write(JSON.stringify(this.#kept));
      await this.#writing;
    })();
    return this.#next;
  }

  /** Keeps a result before its line says that it is over. */
  async keep(entry: JournalEntry, result: JobResult): Promise<void> {
    const text = resultText(result);
    if (text !== null) await this.#place.writeResult(this.#keyOf(entry), text);
  }

  /** Null where it is not kept, or cannot be read. */
  async result(entry: JournalEntry): Promise<KeptResult | null> {
    const text = await this.#place.readResult(this.#keyOf(entry));
    return text === null ? null : resultIn(text);
  }

  /** Every input was taken: what stands here besides was of inputs that are no more. */
  async dropOthers(): Promise<void> {
    const isTaken = (entry: JournalEntry): boolean => {
      const nth = Number(this.#keyOf(entry).slice(entry.digest.length + 1));
      return nth < (this.#taken.get(entry.digest) ?? 0);
    };
    const others = this.#kept.entries.filter((entry) => !isTaken(entry));
    if (others.length === 0) return;
    this.#kept.entries = this.#kept.entries.filter(isTaken);
    await this.save();
    for (const entry of others) await this.#place.dropResult(this.#keyOf(entry));
  }

  async close(): Promise<void> {
    try {
      await (this.#next ?? this.#writing);
    } finally {
      await this.#place.close();
    }
  }

  #name(entry: JournalEntry, nth: number): void {
    this.#keys.set(entry, keyOf(entry.digest, nth));
    this.#entries.set(keyOf(entry.digest, nth), entry);
  }

  #keyOf(entry: JournalEntry): string {
    return this.#keys.get(entry) ?? keyOf(entry.digest, 0);
  }
}

const keyOf = (digest: string, nth: number): string => `${digest}-${nth}`;

/** It may have an order that is not over. */
const isUnderWay = ({ order, isOver }: JournalEntry): boolean => order !== null && !isOver;

/** Of a map that has no name: nothing is kept. */
export const NOWHERE: JournalPlace = {
  read: async () => null,
  write: async () => {},
  readResult: async () => null,
  writeResult: async () => {},
  dropResult: async () => {},
  close: async () => {},
};
