/**
 * The archive's files: receipts of leases that are long over, a line of JSON each, every line compressed by itself and one after the
 * other, so that a file is plain `.ndjson.gz` for everybody and a single receipt is read alone. One file for each month and writer: what
 * a writer that was cut off left at the end of its file is followed by nothing. Who controls the inputs: whoever may write to the folder;
 * what is read is compared with the digest in the database, and each document with its id.
 */
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { parseDocument, zReceipt, type Envelope, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { ArchivePlace, ArchiveReader, RowPlace } from "../store/archived.ts";
import { asWritten, awayAt, bytesAt, digestOf, packedLine, syncFolder, unpackedLine } from "./archive-files.ts";
import { dropRowFile, putRowFile, readRowsIn, rowFileBytes, rowFileOf } from "./row-files.ts";

/** A receipt is a few hundred documents of a few KiB. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;

export class ArchiveFolder implements ArchiveReader {
  readonly #folder: string;
  /** Whose files these are: no two writers have one. */
  readonly #writer: string;
  /** Those that were added here. */
  readonly #rowFiles: string[] = [];

  constructor(folder: string, writer: string) {
    this.#folder = folder;
    this.#writer = writer;
  }

  /** It is on the disk when this returns. */
  async append(receipt: Receipt, now: number): Promise<ArchivePlace> {
    return this.add(await packedLine(receipt), now);
  }

  /** What is compressed already, as `packed` gave it. */
  async add(bytes: Uint8Array, now: number): Promise<ArchivePlace> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const file = this.#fileAt(now);
    const handle = await open(path.join(this.#folder, file), "a", 0o600);
    try {
      const { size: start } = await handle.stat();
      await handle.writeFile(bytes);
      await handle.sync();
      if (start === 0) await syncFolder(this.#folder);
      return { file, start, bytes: bytes.length, digest: digestOf(bytes) };
    } finally {
      await handle.close();
    }
  }

  /** The bytes as they lie there. */
  async packed(place: ArchivePlace): Promise<Buffer> {
    return toldWhere(place, () => this.#packed(place));
  }

  async #packed(place: ArchivePlace): Promise<Buffer> {
    const handle = await open(path.join(this.#folder, path.basename(place.file)), "r");
    return asWritten(await bytesAt(handle, place.start, place.bytes).finally(() => handle.close()), place);
  }

  async read(place: ArchivePlace): Promise<ReadonlyMap<string, Envelope>> {
    return toldWhere(place, async () => {
      const part = await this.#packed(place);
      const receipt = zReceipt.parse(await unpackedLine(part, LINE_BYTES_MAX));
      return new Map(receipt.documents.map(({ id, envelope }) => [id, signedAs(id, envelope)]));
    });
  }

  /** Rows of leases in a file of their own. It is on the disk when this returns. */
  async putRows(rows: Parameters<typeof rowFileOf>[0]): Promise<RowPlace[]> {
    const file = await rowFileOf(rows);
    await putRowFile(this.#folder, file);
    return file.places;
  }

  readRows(places: readonly RowPlace[]): ReturnType<typeof readRowsIn> {
    return readRowsIn(this.#folder, places);
  }

  /** A whole file of rows. Throws where it is away, or is not what was written. */
  rowFile(digest: string): Promise<Buffer> {
    return rowFileBytes(this.#folder, digest);
  }

  /** A file of rows as `rowFile` gave it, unless it is there. */
  async addRowFile(bytes: Buffer): Promise<string> {
    const digest = digestOf(bytes);
    const isThere = await this.rowFile(digest).then(
      () => true,
      () => false,
    );
    if (isThere) return digest;
    this.#rowFiles.push(digest);
    await putRowFile(this.#folder, { digest, bytes });
    return digest;
  }

  /** What this writer wrote is gone again: for who could not finish. */
  async undo(now: number): Promise<void> {
    for (const digest of this.#rowFiles) await dropRowFile(this.#folder, digest);
    await rm(path.join(this.#folder, this.#fileAt(now)), { force: true });
  }

  #fileAt(now: number): string {
    return `${new Date(now).toISOString().slice(0, 7)}-${this.#writer}.ndjson.gz`;
  }
}

async function toldWhere<T>(place: ArchivePlace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw awayAt(place, cause);
  }
}

function signedAs(id: string, envelope: Envelope): Envelope {
  const parsed = parseDocument(nodeCrypto, envelope);
  if (!parsed.ok || parsed.document.id !== id) throw new Error(`document ${id} is another there`);
  return envelope;
}
