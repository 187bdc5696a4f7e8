/**
 * A receipt that is longer than one answer, fetched in parts and kept as they come: what is not its next part ends it, and nothing of it
 * stays. Who controls the inputs: the broker, every byte, how many parts there are and when they come; this machine's disk, which may be
 * full. Bounds: one part in memory; so many documents, so long on the average, and so many public ones.
 */
import path from "node:path";
import { mkdir, open, rm, stat, type FileHandle } from "node:fs/promises";
import type { Receipt, ReceiptDocument } from "@xenoservers/protocol";
import { ifThere, isBeside, moveTo, nameBeside, namesIn } from "@xenoservers/protocol/files";
import type { MarketClient } from "../../client.ts";
import { BrokenWordError, KeptError, RefusedError } from "../../errors.ts";
import { PART, readPart } from "../../receipt.ts";
import { roomIn } from "../../room.ts";
import { shortId } from "../../words.ts";
import { END_BYTES_MAX, LINE_BYTES_MAX, LONG_FORMAT } from "./long-format.ts";

/** The longest lease has a year: of claims and receipts, one each in ten seconds, that is 6.3 million. */
const DOCUMENTS_MAX = 8_000_000;
/** A claim with its proof has 2 KB. */
const BYTES_PER_DOCUMENT = 8 * 1024;
const BYTES_FREE = 64 * 1024 * 1024;
const OTHERS_MAX = 100_000;
/** No part is waited for so long: nobody writes there any more. */
const LEFT_AFTER_MS = 3_600_000;
/** The broker's log may begin anew while it is asked. */
const TRIES = 3;
const TOO_LONG = "its documents are longer than any are";
/** What a broker answers then. */
const AFRESH: readonly string[] = ["conflict", "not_found"];

/** The log whose checkpoint it is, by its first line. */
const logOf = ({ checkpoint }: Receipt): string | undefined => checkpoint.split("\n")[0];

const isClaim = ({ kind }: ReceiptDocument): boolean => kind === "claim" || kind === "claim-receipt";

/** The log began anew between two parts. */
class OtherLog extends Error {}

/** What came so far: checks that each part follows the one before. */
class Parts {
  readonly #lease: string;
  readonly #first: Receipt;
  readonly leaves = new Map<string, ReceiptDocument>();
  readonly others: string[] = [];
  isSettled = false;
  count = 0;
  waiting = 0;
  bytes = 0;
  #index = -1;
  #leafBytes = 0;

  constructor(lease: string, first: Receipt) {
    [this.#lease, this.#first] = [lease, first];
  }

  #broken(why: string): BrokenWordError {
    return new BrokenWordError(`the receipt of lease ${shortId(this.#lease)} that the broker shows in parts is none: ${why}`);
  }

  /** The first line, which says what they are of. Throws BrokenWordError. */
  get head(): string {
    const { market, checkpoint, size } = this.#first;
    return this.#line({ format: LONG_FORMAT, lease: this.#lease, market, checkpoint, size });
  }

  #line(value: object): string {
    const line = `${JSON.stringify(value)}\n`;
    const bytes = Buffer.byteLength(line);
    this.bytes += bytes;
    if (bytes > LINE_BYTES_MAX) throw this.#broken(TOO_LONG);
    return line;
  }

  /** The lines of a part. Throws BrokenWordError. */
  take(part: Receipt): string {
    if (logOf(part) !== logOf(this.#first)) throw new OtherLog();
    if (part.lease !== this.#lease || part.size !== this.#first.size) throw this.#broken("a part is of another lease, or size of the log");
    if (part.documents.length === 0 && part.hasMore) throw this.#broken("a part is empty, and not the last one");
    for (const leaf of part.leaves) this.#takeLeaf(leaf);
    const text = part.documents.map((document) => this.#lineOf(document)).join("");
    if (this.count > DOCUMENTS_MAX) throw this.#broken(`it has more than ${DOCUMENTS_MAX} documents`);
    if (this.bytes > BYTES_FREE + this.count * BYTES_PER_DOCUMENT) throw this.#broken(TOO_LONG);
    return text;
  }

  #takeLeaf(leaf: ReceiptDocument): void {
    if (this.leaves.has(leaf.id)) return;
    this.leaves.set(leaf.id, leaf);
    this.#leafBytes += Buffer.byteLength(JSON.stringify(leaf));
    if (this.#leafBytes > END_BYTES_MAX / 2) throw this.#broken("what it leans on is longer than any is");
  }

  #lineOf(document: ReceiptDocument): string {
    const { index, id, kind } = document;
    if (index === null) this.waiting++;
    else if (index <= this.#index || index >= this.#first.size || this.waiting > 0)
      throw this.#broken("its parts do not follow each other");
    else this.#index = index;
    if (!isClaim(document) && this.others.push(id) > OTHERS_MAX)
      throw this.#broken(`of what is no claim it has more than ${OTHERS_MAX} documents`);
    this.isSettled ||= kind === "settlement";
    this.count++;
    return this.#line(document);
  }

  get end(): string {
    const { count: documents, isSettled, others } = this;
    const leaves = [...this.leaves.values()];
    const waiting = this.waiting + leaves.filter(({ index }) => index === null).length;
    return `${JSON.stringify({ documents, waiting, isSettled, others, leaves })}\n`;
  }
}

const noRoom = (lease: string, cause?: unknown): KeptError =>
  new KeptError(`the disk has no room for the receipt of lease ${shortId(lease)}`, { cause });

/** `room`: so many bytes may be written. */
async function writeParts(client: MarketClient, lease: string, handle: FileHandle, room: number): Promise<void> {
  let part = await readPart(client, lease, { limit: PART });
  const { size } = part;
  const parts = new Parts(lease, part);
  await handle.appendFile(parts.head);
  for (;;) {
    const lines = parts.take(part);
    if (parts.bytes > room) throw noRoom(lease);
    await handle.appendFile(lines);
    const after = part.documents.at(-1)?.id;
    if (!part.hasMore || after === undefined) break;
    part = await readPart(client, lease, { limit: PART, after, size }).catch((error: unknown) => {
      // it is shorter by now, or has that document no more
      throw error instanceof RefusedError && AFRESH.includes(error.code) ? new OtherLog() : error;
    });
  }
  await handle.appendFile(parts.end);
  await handle.datasync();
}

/** What was left of one that was ended before its end, as by Ctrl-C: hundreds of MB that nobody would find. */
async function dropLeft(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const left = path.join(folder, name);
    const written = isBeside(name) ? await ifThere(stat(left)) : null;
    if (written && Date.now() - written.mtimeMs > LEFT_AFTER_MS) await rm(left, { force: true });
  }
}

/**
 * Fetched to that file, whole or not at all; the disk is not filled with it (`room`: bytes that may be written to a folder). Throws
 * BrokenWordError where the broker's parts are none of a receipt, RefusedError where it gives none, KeptError where the disk takes no more.
 */
export async function keepParts(client: MarketClient, lease: string, file: string, room = roomIn): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await dropLeft(path.dirname(file));
  for (let tries = 1; ; tries++) {
    const beside = nameBeside(file);
    const handle = await open(beside, "wx", 0o600);
    try {
      await writeParts(client, lease, handle, await room(path.dirname(file))).finally(() => handle.close());
      return await moveTo(file, beside);
    } catch (error) {
      await rm(beside, { force: true });
      if (error instanceof OtherLog && tries < TRIES) continue;
      if (error instanceof OtherLog) throw new BrokenWordError("the broker's log began anew each time that its receipt was read");
      const isFull = error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
      throw isFull ? noRoom(lease, error) : error;
    }
  }
}
