/**
 * A receipt of any length in a file, a line each: what it is of, its documents in the order of the log, and at last the public ones that
 * these lean on. It is verified as it is read. Who controls the input: whoever hands over the file, every byte, and how many. Bounds: one
 * line of so many bytes in memory, and the first and the last one.
 */
import { open, stat, type FileHandle } from "node:fs/promises";
import { zReceipt, type Crypto, type MarketPins, type ReceiptDocument } from "@xenoservers/protocol";
import { ifThere } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { StreamedReceipt, type OwnFacts, type ReceiptVerification } from "@xenoservers/verify";
import { InputError } from "../../errors.ts";
import { LongReceipt } from "../../facade/long-receipt.ts";
import { jsonIn, linesOf } from "./lines.ts";
import { END_BYTES_MAX, LINE_BYTES_MAX, LONG_FORMAT } from "./long-format.ts";

/** How such a file begins. */
const BEGINS = `{"format":"${LONG_FORMAT}"`;
const READ_BYTES = 64 * 1024;
/** One that is read in one piece, for what needs all of it at once: a day of claims has 40 MB. */
const WHOLE_BYTES_MAX = 64 * 1024 * 1024;
const NEWLINE = 0x0a;

/** The last line. */
interface LongEnd {
  /** How many there are. */
  documents: number;
  /** How many of these, and of the leaves, were not in the log yet. */
  waiting: number;
  isSettled: boolean;
  /** Ids of those that are no claims. */
  others: readonly string[];
  leaves: readonly ReceiptDocument[];
}

/** Whether a file begins as such a receipt does; false where there is none. Of a pipe, which gives its bytes once, nothing is read. */
export async function isLongReceipt(file: string): Promise<boolean> {
  if (!(await ifThere(stat(file)))?.isFile()) return false;
  const handle = await open(file);
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(BEGINS.length), 0, BEGINS.length, 0);
    return buffer.toString("utf8", 0, bytesRead) === BEGINS;
  } finally {
    await handle.close();
  }
}

/** Null where the file does not end with a line. */
async function lastLine(handle: FileHandle): Promise<string | null> {
  const { size } = await handle.stat();
  const parts: Buffer[] = [];
  for (let to = size; to > 0 && size - to < END_BYTES_MAX;) {
    const from = Math.max(0, to - READ_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(to - from), 0, to - from, from);
    if (bytesRead < to - from) return null;
    if (to === size && buffer.at(-1) !== NEWLINE) return null;
    const end = to === size ? buffer.length - 1 : buffer.length;
    const before = buffer.subarray(0, end).lastIndexOf(NEWLINE);
    parts.unshift(buffer.subarray(before + 1, end));
    if (before >= 0) return Buffer.concat(parts).toString("utf8");
    to = from;
  }
  return null;
}

const own = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;

const CUT = "it is not whole: what a receipt ends with is missing";

export class ReceiptFile extends LongReceipt {
  readonly file: string;
  readonly lease: string;
  /** Whose word it is under which checkpoint, before anything of it is checked. */
  readonly head: object;

  private constructor(file: string, head: object, lease: string) {
    super();
    [this.file, this.head, this.lease] = [file, head, lease];
  }

  /** Throws InputError where it is no such file. */
  static async open(file: string): Promise<ReceiptFile> {
    for await (const line of linesOf(file, LINE_BYTES_MAX)) {
      const head = jsonIn(line.toString("utf8"));
      const lease = zReceipt.shape.lease.safeParse(own(head, "lease")).data;
      if (typeof head !== "object" || head === null || lease === undefined) break;
      return new ReceiptFile(file, head, lease);
    }
    throw new InputError(`${file} is no receipt`);
  }

  /** The market that it names; null where it names none. */
  get market(): MarketPins | null {
    return zReceipt.shape.market.safeParse(own(this.head, "market")).data ?? null;
  }

  /** The last line; null where the file has none, or its documents are not as many as it says. */
  async end(): Promise<LongEnd | null> {
    const handle = await open(this.file);
    try {
      const end = jsonIn((await lastLine(handle)) ?? "");
      const [documents, waiting, others] = [own(end, "documents"), own(end, "waiting"), own(end, "others")];
      const leaves = zReceipt.shape.leaves.safeParse(own(end, "leaves")).data;
      if (typeof documents !== "number" || typeof waiting !== "number" || !Array.isArray(others) || !leaves) return null;
      const ids = others.filter((id) => typeof id === "string");
      return { documents, waiting, isSettled: own(end, "isSettled") === true, others: ids, leaves };
    } finally {
      await handle.close();
    }
  }

  /** Its documents as they stand there, nothing of them checked. Throws InputError where it ends before its end. */
  async *documents(): AsyncGenerator<unknown, void> {
    const count = (await this.end())?.documents;
    if (count === undefined) throw new InputError(CUT);
    let line = -1;
    for await (const bytes of linesOf(this.file, END_BYTES_MAX)) {
      const text = bytes.toString("utf8");
      line++;
      if (line === 0) continue;
      if (line > count) {
        if (own(jsonIn(text), "documents") === count) continue;
        throw new InputError("it holds more documents than it says");
      }
      if (text.length > LINE_BYTES_MAX) throw new InputError("a line of it is longer than any document");
      yield jsonIn(text);
    }
    if (line !== count + 1) throw new InputError("it holds other documents than it says");
  }

  /** In one piece, nothing of it checked; null where it is too long for that, or not whole. */
  async whole(): Promise<unknown> {
    if ((await stat(this.file)).size > WHOLE_BYTES_MAX) return null;
    const documents: unknown[] = [];
    try {
      for await (const document of this.documents()) documents.push(document);
    } catch (error) {
      if (error instanceof InputError) return null;
      throw error;
    }
    return { ...this.head, format: "xenoservers-receipt-1", documents, leaves: (await this.end())?.leaves ?? [] };
  }

  /** All of it heard. `own`: what is known before that. */
  async read(crypto: Crypto, pins: MarketPins, known: OwnFacts, signal?: AbortSignal): Promise<StreamedReceipt> {
    const leaves = (await this.end())?.leaves;
    const reading = new StreamedReceipt(crypto, pins, { ...this.head, format: "xenoservers-receipt-1", leaves: leaves ?? [] }, known);
    if (!leaves) reading.cut(CUT);
    try {
      for await (const document of this.documents()) {
        signal?.throwIfAborted();
        if (!reading.hear(document)) break;
      }
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      reading.cut(error.message);
    }
    return reading;
  }

  async verified(pins: MarketPins, known: OwnFacts, signal?: AbortSignal): Promise<ReceiptVerification> {
    return (await this.read(nodeCrypto, pins, known, signal)).said();
  }
}
