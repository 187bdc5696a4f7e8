/**
 * The archive's files: receipts of leases that are long over, a line of JSON each, every line compressed by itself and one after the
 * other, so that a file is plain `.ndjson.gz` for everybody and a single receipt is read alone. One file for each month and writer: what
 * a writer that was cut off left at the end of its file is followed by nothing. Who controls the inputs: whoever may write to the folder;
 * what is read is compared with the digest in the database, and each document with its id.
 */
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { parseDocument, type Envelope, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { z } from "zod";
import type { ArchivePlace, ArchiveReader, RowPlace } from "../store/archived.ts";
import { asWritten, awayAt, bytesAt, digestOf, packedLine, syncFolder, unpackedLine } from "./archive-files.ts";
import { dropRowFile, putRowFile, readRowsIn, rowFileBytes, rowFileOf } from "./row-files.ts";

/** A receipt is a few hundred documents of a few KiB; of older ones there are longer. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;
/** One with more documents comes in parts: it is not read again for each. */
const READ_AGAIN_MAX = 1_000;

/** What is read of a receipt: the line is what was written, so that the rest of it needs no look. */
const zLine = z.object({ documents: z.array(z.object({ id: z.string(), envelope: z.unknown() })) });

export class ArchiveFolder implements ArchiveReader {
  readonly #folder: string;
  /** Whose files these are: no two writers have one. */
  readonly #writer: string;
  /** Those that were added here. */
  readonly #rowFiles: string[] = [];
  /** The long receipt that was read last, by the digest of its line; what was signed of it is not opened yet. */
  #long: { digest: string; envelopes: ReadonlyMap<string, unknown> } | null = null;

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

  async read(place: ArchivePlace, ids?: readonly string[]): Promise<ReadonlyMap<string, Envelope>> {
    return toldWhere(place, async () => {
      const envelopes = await this.#envelopes(place);
      return new Map((ids ?? [...envelopes.keys()]).filter((id) => envelopes.has(id)).map((id) => [id, signedAs(id, envelopes.get(id))]));
    });
  }

  async #envelopes(place: ArchivePlace): Promise<ReadonlyMap<string, unknown>> {
    if (this.#long?.digest === place.digest) return this.#long.envelopes;
    const { documents } = zLine.parse(await unpackedLine(await this.#packed(place), LINE_BYTES_MAX));
    const envelopes = new Map(documents.map(({ id, envelope }) => [id, envelope]));
    if (envelopes.size > READ_AGAIN_MAX) this.#long = { digest: place.digest, envelopes };
    return envelopes;
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

function signedAs(id: string, untrusted: unknown): Envelope {
  const parsed = parseDocument(nodeCrypto, untrusted);
  if (!parsed.ok || parsed.document.id !== id) throw new Error(`document ${id} is another there`);
  return parsed.document.envelope;
}
