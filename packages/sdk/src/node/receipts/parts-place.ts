/**
 * Where a receipt's parts lie until all of them are there: its lines, and beside them the public documents that they lean on. What a fetch
 * left that was broken off is gone on with by the next one, under its checkpoint. Who controls the inputs: this machine's disk.
 */
import { open, rm, stat, truncate, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { zReceipt, zReceiptDocument, type Receipt } from "@xenoservers/protocol";
import { ifThere, isBeside, makeFolder, moveTo, nameBeside, namesIn } from "@xenoservers/protocol/files";
import { BrokenWordError, InputError } from "../../errors.ts";
import { dropLock, takeLock } from "../own-lock.ts";
import { jsonIn, linesOf } from "./lines.ts";
import { LINE_BYTES_MAX } from "./long-format.ts";
import { Parts, logOf, type PartsHead } from "./parts.ts";
import * as z from "zod/mini";

const HOUR_MS = 3_600_000;
/** No part is waited for so long: nobody writes there any more. */
const LEFT_AFTER_MS = HOUR_MS;
/** Nobody goes on with what was broken off so long ago. */
const BEGUN_KEPT_MS = 7 * 24 * HOUR_MS;
/** A lease that runs on is shown as it stood so long ago at most. */
const OF_THEN_MS_MAX = HOUR_MS;

const zHead = z.pick(zReceipt, { lease: true, market: true, checkpoint: true, size: true });
const BEGUN = /^(.*[0-9a-f]{64}\.jsonl)\.(?:part|leaves|lock)$/;

const writtenAt = async (file: string): Promise<number> => (await ifThere(stat(file)))?.mtimeMs ?? Number.NEGATIVE_INFINITY;

/** What was left of one that was ended before its end: hundreds of MB that nobody would find. What is one fetch's goes together. */
async function dropLeft(folder: string): Promise<void> {
  const left = new Map<string, string[]>();
  for (const name of await namesIn(folder)) {
    const of = isBeside(name) ? name : BEGUN.exec(name)?.[1];
    if (of !== undefined) left.set(of, [...(left.get(of) ?? []), path.join(folder, name)]);
  }
  for (const [of, files] of left) {
    const written = Math.max(...(await Promise.all(files.map(writtenAt))));
    if (Date.now() - written > (isBeside(of) ? LEFT_AFTER_MS : BEGUN_KEPT_MS)) for (const file of files) await rm(file, { force: true });
  }
}

/** What came before, and can be gone on with. */
export interface Begun {
  parts: Parts;
  /** Of its file, and of that of public documents: what is behind them is half of a line. */
  bytes: number;
  leafBytes: number;
  /** When the last of it came. */
  at: number;
}

/** The lines of a file; none where there is no such file, and as far as they are whole. */
async function* wholeLines(file: string): AsyncGenerator<Buffer, void> {
  if (!(await ifThere(stat(file)))) return;
  try {
    yield* linesOf(file, LINE_BYTES_MAX);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
}

/** Hears again what was kept, up to what is no document that follows; gives how many bytes that is. */
async function hearAgain(file: string, parts: Parts, isOfThen: boolean): Promise<number> {
  let bytes = 0;
  for await (const line of wholeLines(file)) {
    const document = bytes === 0 ? null : zReceiptDocument.safeParse(jsonIn(line.toString("utf8"))).data;
    if (document === undefined || (isOfThen && document?.index === null)) break;
    if (document) parts.takeDocument(document);
    bytes += line.length + 1;
  }
  return bytes;
}

/** The same of the public documents. Null where one is none, or none is there: what was heard leans on them, and they come once. */
async function hearLeaves(file: string, parts: Parts): Promise<number | null> {
  let bytes = 0;
  for await (const line of wholeLines(file)) {
    const leaf = zReceiptDocument.safeParse(jsonIn(line.toString("utf8"))).data;
    if (!leaf) return null;
    parts.takeLeaf(leaf);
    bytes += line.length + 1;
  }
  return bytes === 0 ? null : bytes;
}

export class PartsPlace {
  readonly lines: string;
  readonly #leaves: string;
  /** Null: nobody goes on with it. */
  readonly #lock: string | null;

  private constructor(lines: string, leaves: string, lock: string | null) {
    [this.lines, this.#leaves, this.#lock] = [lines, leaves, lock];
  }

  /** Of the file that it will be. Where another program fetches that, too, one of its own. */
  static async of(file: string): Promise<PartsPlace> {
    const folder = path.dirname(file);
    await makeFolder(folder);
    await dropLeft(folder);
    const lock = `${file}.lock`;
    if ((await takeLock(lock)) === null) return new PartsPlace(`${file}.part`, `${file}.leaves`, lock);
    return new PartsPlace(nameBeside(file), nameBeside(file), null);
  }

  /**
   * What a fetch that was broken off left of that lease. Null where there is none, or where it is no beginning of what there is `now`: its
   * checkpoint lacks how the lease ended, or, of one that runs, is older than anybody means who asks how it stands.
   */
  async begun(now: Receipt): Promise<Begun | null> {
    const at = this.#lock === null ? null : (await ifThere(stat(this.lines)))?.mtimeMs;
    const head = at ? await this.#head() : null;
    if (!at || !head || head.lease !== now.lease || logOf(head) !== logOf(now)) return null;
    // of one that runs on nobody knows here which claims came since
    const isOver = now.documents.some(({ kind }) => kind === "settlement");
    const lacks = [...now.documents, ...now.leaves].some(({ index }) => index === null || index >= head.size);
    if (isOver ? lacks : Date.now() - at > OF_THEN_MS_MAX) return null;
    const parts = new Parts(head, !isOver);
    try {
      const bytes = await hearAgain(this.lines, parts, !isOver);
      const leafBytes = await hearLeaves(this.#leaves, parts);
      return parts.last === null || leafBytes === null ? null : { parts, bytes, leafBytes, at };
    } catch (error) {
      // it was kept, and is none: this disk's doing, or a broker's that was found out meanwhile
      if (error instanceof BrokenWordError) return null;
      throw error;
    }
  }

  async #head(): Promise<PartsHead | null> {
    for await (const line of wholeLines(this.lines)) return zHead.safeParse(jsonIn(line.toString("utf8"))).data ?? null;
    return null;
  }

  /** To be written on from there; null: from its beginning. */
  async open(begun: Begun | null): Promise<PartsWriter> {
    if (begun) {
      await truncate(this.#leaves, begun.leafBytes);
      await truncate(this.lines, begun.bytes);
    } else for (const file of [this.lines, this.#leaves]) await rm(file, { force: true });
    const lines = await open(this.lines, "a", 0o600);
    try {
      return new PartsWriter(lines, await open(this.#leaves, "a", 0o600));
    } catch (error) {
      await lines.close();
      throw error;
    }
  }

  /** All of it is there: it has its name from now on. */
  async becomes(file: string): Promise<void> {
    await moveTo(file, this.lines);
    await rm(this.#leaves, { force: true });
  }

  /** Nobody will go on with what came. */
  async drop(): Promise<void> {
    for (const file of [this.lines, this.#leaves]) await rm(file, { force: true });
  }

  /** Another may write here now; `keeps`: and go on with what came. */
  async leave(keeps: boolean): Promise<void> {
    if (!keeps || this.#lock === null) await this.drop();
    if (this.#lock !== null) await dropLock(this.#lock);
  }
}

/** Both files of a place, open. */
class PartsWriter {
  readonly #lines: FileHandle;
  readonly #leaves: FileHandle;

  constructor(lines: FileHandle, leaves: FileHandle) {
    [this.#lines, this.#leaves] = [lines, leaves];
  }

  /** What a document leans on is on the disk before it. */
  async write({ lines, leaves = "" }: { lines: string; leaves?: string }): Promise<void> {
    if (leaves !== "") {
      await this.#leaves.appendFile(leaves);
      await this.#leaves.datasync();
    }
    await this.#lines.appendFile(lines);
  }

  sync(): Promise<void> {
    return this.#lines.datasync();
  }

  async close(): Promise<void> {
    await Promise.all([this.#lines.close(), this.#leaves.close()]);
  }
}
