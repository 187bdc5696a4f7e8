/**
 * What became of each job of a map, so that a later call pays for nothing that ran: which order was signed for which work, the lease that
 * it came to, and whether that is over. An order stands there before it is sent. A job is known by the digest of what is to run and, where
 * that is the same for several inputs, by which of them it is; the place of an input among the others says nothing. Who controls the
 * inputs: this machine's disk.
 */
import * as z from "zod/mini";
import { KeptError } from "../../errors.ts";
import type { JobResult } from "../job-result.ts";
import { resultIn, resultText, type KeptResult } from "./kept-result.ts";

/** Where it is kept; nobody else has it open. */
export interface JournalPlace {
  /** Null: there is none yet. */
  read(): Promise<string | null>;
  /** Whole, or not at all. */
  write(text: string): Promise<void>;
  /** Behind what is there; of what fails a part may stand there. */
  append(text: string): Promise<void>;
  readResult(key: string): Promise<string | null>;
  writeResult(key: string, text: string): Promise<void>;
  dropResult(key: string): Promise<void>;
  close(): Promise<void>;
}

const zHex = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const zNanos = z.string().check(z.regex(/^\d{1,30}$/));
const zEntry = z.strictObject({
  digest: zHex,
  /** Of those with this digest. */
  nth: z.int().check(z.gte(0)),
  /** The latest that was signed for it; it may not have been sent. */
  order: z.nullable(zHex),
  /** As far as it is known here: an order can move on. */
  lease: z.nullable(zHex),
  /** Which of the order's runs it is; null: the order is for it alone. */
  run: z._default(z.nullable(z.int().check(z.gte(0))), null),
  /** For that order. */
  holdNanos: zNanos,
  /** By all that is over. */
  paidNanos: zNanos,
  /** Its result is final, and is not paid again. */
  isOver: z.boolean(),
  /** The folder that its files came to; null: they came to the program. */
  out: z.nullable(z.string()),
});
const zHead = z.strictObject({ version: z.literal(2), origin: z.string(), party: z.string() });
/** The hold that its orders draw on; null: none is open. */
const zBatch = z.strictObject({ batch: z.nullable(zHex) });
const zLine = z.union([zEntry, zBatch]);

/** One job's line: the last that stands for it counts. */
export type JournalEntry = z.infer<typeof zEntry>;

/** Of which market, and whose. */
export interface JournalOwner {
  origin: string;
  party: string;
}

interface Kept {
  batch: string | null;
  /** By key. */
  entries: Map<string, JournalEntry>;
}

const lineOf = (value: unknown): string => `${JSON.stringify(value)}\n`;

/** What was cut off while it was written was not kept yet: whoever wrote it had not gone on. */
const wholeLines = (text: string): string[] => text.split("\n").slice(0, -1);

function parsed(text: string, { origin, party }: JournalOwner): Kept {
  const kept: Kept = { batch: null, entries: new Map() };
  let head: JournalOwner;
  try {
    const [first, ...lines] = wholeLines(text);
    head = zHead.parse(JSON.parse(first ?? ""));
    for (const line of lines) {
      const said = zLine.parse(JSON.parse(line));
      if ("batch" in said) kept.batch = said.batch;
      else kept.entries.set(keyOf(said), said);
    }
  } catch (cause) {
    throw new KeptError("what is kept under this name is no map that can be read here: choose another name", { cause });
  }
  if (head.origin === origin && head.party === party) return kept;
  throw new KeptError(`the map of this name is of ${head.party} in the market ${head.origin}: choose another name, or that context`);
}

export class MapJournal {
  readonly #place: JournalPlace;
  readonly #owner: JournalOwner;
  readonly #kept: Kept;
  /** How many of each digest were taken. */
  readonly #taken = new Map<string, number>();
  /** Changed since they were last written. */
  readonly #changed = new Set<JournalEntry>();
  #writtenBatch: string | null = null;
  /** What stands at its place is all there is but for what has changed. */
  #isWhole = false;
  #hasDropped = false;
  #writing: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  private constructor(place: JournalPlace, owner: JournalOwner, kept: Kept) {
    this.#place = place;
    this.#owner = owner;
    this.#kept = kept;
  }

  static async open(place: JournalPlace, owner: JournalOwner): Promise<MapJournal> {
    const text = await place.read();
    return new MapJournal(place, owner, text === null ? { batch: null, entries: new Map() } : parsed(text, owner));
  }

  get batch(): string | null {
    return this.#kept.batch;
  }

  set batch(id: string | null) {
    this.#kept.batch = id;
  }

  /** What was paid, and what is held for what may be under way. */
  get money(): { paidNanos: bigint; heldNanos: bigint } {
    const sum = (all: Iterable<JournalEntry>, of: "paidNanos" | "holdNanos"): bigint =>
      [...all].reduce((total, entry) => total + BigInt(entry[of]), 0n);
    return { paidNanos: sum(this.#kept.entries.values(), "paidNanos"), heldNanos: sum(this.underWay, "holdNanos") };
  }

  /** Those that may have an order that is not over. */
  get underWay(): JournalEntry[] {
    return [...this.#kept.entries.values()].filter(isUnderWay);
  }

  /** The line of the next input that is this work; a new one where there is none left. */
  take(digest: string): JournalEntry {
    const nth = this.#taken.get(digest) ?? 0;
    this.#taken.set(digest, nth + 1);
    const key = keyOf({ digest, nth });
    const known = this.#kept.entries.get(key);
    if (known) return known;
    const entry: JournalEntry = {
      digest,
      nth,
      order: null,
      lease: null,
      run: null,
      holdNanos: "0",
      paidNanos: "0",
      isOver: false,
      out: null,
    };
    this.#kept.entries.set(key, entry);
    return entry;
  }

  /** Resolves when this line, and which hold is open, are kept as they are now; what comes meanwhile is written together. */
  save(entry?: JournalEntry): Promise<void> {
    if (entry) this.#changed.add(entry);
    this.#next ??= (async () => {
      await this.#writing?.catch(() => {});
      this.#next = null;
      this.#writing = this.#write();
      await this.#writing;
    })();
    return this.#next;
  }

  /** Of its order nothing came, and nothing will. */
  forget(entry: JournalEntry): Promise<void> {
    Object.assign(entry, { order: null, lease: null, run: null, holdNanos: "0" });
    return this.save(entry);
  }

  async #write(): Promise<void> {
    const changed = [...this.#changed];
    const { batch, entries } = this.#kept;
    const isAppended = this.#isWhole && !this.#hasDropped;
    this.#changed.clear();
    // a part of it may stand there where this fails: then all is written anew
    this.#isWhole = this.#hasDropped = false;
    if (isAppended) {
      const lines = changed.map(lineOf);
      if (batch !== this.#writtenBatch) lines.push(lineOf({ batch }));
      if (lines.length > 0) await this.#place.append(lines.join(""));
    } else await this.#place.write([{ version: 2, ...this.#owner }, { batch }, ...entries.values()].map(lineOf).join(""));
    this.#isWhole = true;
    this.#writtenBatch = batch;
  }

  /** Keeps a result before its line says that it is over. */
  async keep(entry: JournalEntry, result: JobResult): Promise<void> {
    const text = resultText(result);
    if (text !== null) await this.#place.writeResult(keyOf(entry), text);
  }

  /** Null where it is not kept, or cannot be read. */
  async result(entry: JournalEntry): Promise<KeptResult | null> {
    const text = await this.#place.readResult(keyOf(entry));
    return text === null ? null : resultIn(text);
  }

  /** Every input was taken: what stands here besides was of inputs that are no more. */
  async dropOthers(): Promise<void> {
    const others = [...this.#kept.entries.values()].filter(({ digest, nth }) => nth >= (this.#taken.get(digest) ?? 0));
    if (others.length === 0) return;
    for (const other of others) this.#kept.entries.delete(keyOf(other));
    this.#hasDropped = true;
    await this.save();
    for (const other of others) await this.#place.dropResult(keyOf(other));
  }

  async close(): Promise<void> {
    try {
      await (this.#next ?? this.#writing);
    } finally {
      await this.#place.close();
    }
  }
}

function keyOf({ digest, nth }: Pick<JournalEntry, "digest" | "nth">): string {
  return `${digest}-${nth}`;
}

/** It may have an order that is not over. */
const isUnderWay = ({ order, isOver }: JournalEntry): boolean => order !== null && !isOver;

/** Of a map that has no name: nothing is kept. */
export const NOWHERE: JournalPlace = {
  read: async () => null,
  write: async () => {},
  append: async () => {},
  readResult: async () => null,
  writeResult: async () => {},
  dropResult: async () => {},
  close: async () => {},
};
