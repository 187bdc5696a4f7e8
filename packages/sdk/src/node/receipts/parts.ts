/**
 * What came of a receipt so far, part by part: checks that each follows the one before, and gives the lines that are kept. Who controls the
 * inputs: the broker, every byte; of what was kept before, this machine's disk. Bounds: so many documents, so long on the average, and so
 * many public ones.
 */
import type { Receipt, ReceiptDocument } from "@xenoservers/protocol";
import { BrokenWordError } from "../../errors.ts";
import { shortId } from "../../words.ts";
import { END_BYTES_MAX, LINE_BYTES_MAX, LONG_FORMAT } from "./long-format.ts";

/** The longest lease has a year: of claims and receipts, one each in ten seconds, that is 6.3 million. */
const DOCUMENTS_MAX = 8_000_000;
/** A claim with its proof has 2 KB. */
const BYTES_PER_DOCUMENT = 8 * 1024;
const BYTES_FREE = 64 * 1024 * 1024;
const OTHERS_MAX = 100_000;
const TOO_LONG = "its documents are longer than any are";

/** Under which checkpoint it comes. */
export type PartsHead = Pick<Receipt, "lease" | "market" | "checkpoint" | "size">;

/** The log whose checkpoint it is, by its first line. */
export const logOf = ({ checkpoint }: Pick<Receipt, "checkpoint">): string | undefined => checkpoint.split("\n")[0];

const isClaim = ({ kind }: ReceiptDocument): boolean => kind === "claim" || kind === "claim-receipt";

/** The log began anew between two parts. */
export class OtherLog extends Error {}

export class Parts {
  readonly #head: PartsHead;
  /** What was signed after its checkpoint is left out: it was taken long before the broker is asked for the rest. */
  readonly #isOfThen: boolean;
  readonly #leaves = new Map<string, ReceiptDocument>();
  readonly #others: string[] = [];
  #isSettled = false;
  #waiting = 0;
  #index = -1;
  #leafBytes = 0;
  count = 0;
  bytes = 0;
  /** All of them that are part of it came. */
  isOver = false;
  /** The last one that came; null: none did. */
  last: string | null = null;

  constructor(head: PartsHead, isOfThen = false) {
    this.#head = head;
    this.#isOfThen = isOfThen;
  }

  get size(): number {
    return this.#head.size;
  }

  #broken(why: string): BrokenWordError {
    return new BrokenWordError(`the receipt of lease ${shortId(this.#head.lease)} that the broker shows in parts is none: ${why}`);
  }

  /** The first line, which says what they are of. Throws BrokenWordError. */
  get head(): string {
    const { lease, market, checkpoint, size } = this.#head;
    return this.#line({ format: LONG_FORMAT, lease, market, checkpoint, size });
  }

  #line(value: object): string {
    const line = `${JSON.stringify(value)}\n`;
    const bytes = Buffer.byteLength(line);
    this.bytes += bytes;
    if (bytes > LINE_BYTES_MAX) throw this.#broken(TOO_LONG);
    return line;
  }

  /** The lines of a part, and of the public documents that came with it and not before. Throws BrokenWordError, OtherLog. */
  take(part: Receipt): { lines: string; leaves: string } {
    if (logOf(part) !== logOf(this.#head)) throw new OtherLog();
    if (part.lease !== this.#head.lease || part.size !== this.size) throw this.#broken("a part is of another lease, or size of the log");
    if (part.documents.length === 0 && part.hasMore) throw this.#broken("a part is empty, and not the last one");
    this.isOver = !part.hasMore;
    const leaves = part.leaves.map((leaf) => this.takeLeaf(leaf)).join("");
    const end = this.#isOfThen ? part.documents.findIndex(({ index }) => index === null) : -1;
    if (end >= 0) this.isOver = true;
    const documents = end < 0 ? part.documents : part.documents.slice(0, end);
    const lines = documents.map((document) => this.takeDocument(document)).join("");
    if (this.count > DOCUMENTS_MAX) throw this.#broken(`it has more than ${DOCUMENTS_MAX} documents`);
    if (this.bytes > BYTES_FREE + this.count * BYTES_PER_DOCUMENT) throw this.#broken(TOO_LONG);
    return { lines, leaves };
  }

  /** Its line; empty where it came before, or is no part of it. Throws BrokenWordError. */
  takeLeaf(leaf: ReceiptDocument): string {
    if (this.#leaves.has(leaf.id) || (this.#isOfThen && leaf.index === null)) return "";
    this.#leaves.set(leaf.id, leaf);
    const line = `${JSON.stringify(leaf)}\n`;
    this.#leafBytes += Buffer.byteLength(line);
    if (this.#leafBytes > END_BYTES_MAX / 2) throw this.#broken("what it leans on is longer than any is");
    return line;
  }

  /** Its line. Throws BrokenWordError where it does not follow the one before. */
  takeDocument(document: ReceiptDocument): string {
    const { index, id, kind } = document;
    if (index === null) this.#waiting++;
    else if (index <= this.#index || index >= this.size || this.#waiting > 0) throw this.#broken("its parts do not follow each other");
    else this.#index = index;
    if (!isClaim(document) && this.#others.push(id) > OTHERS_MAX)
      throw this.#broken(`of what is no claim it has more than ${OTHERS_MAX} documents`);
    this.#isSettled ||= kind === "settlement";
    this.count++;
    this.last = id;
    return this.#line(document);
  }

  get end(): string {
    const leaves = [...this.#leaves.values()];
    const waiting = this.#waiting + leaves.filter(({ index }) => index === null).length;
    return `${JSON.stringify({ documents: this.count, waiting, isSettled: this.#isSettled, others: this.#others, leaves })}\n`;
  }
}
