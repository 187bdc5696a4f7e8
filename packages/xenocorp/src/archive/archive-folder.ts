/**
 * The archive's files: receipts of leases that are long over, a line of JSON each, every line compressed by itself and one after the
 * other, so that a file is plain `.ndjson.gz` for everybody and a single receipt is read alone. One file for each month and writer: what
 * a writer that was cut off left at the end of its file is followed by nothing. Who controls the inputs: whoever may write to the folder;
 * what is read is compared with the digest in the database, and each document with its id.
 */
import { createHash } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { parseDocument, zReceipt, type Envelope, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { ArchiveAway, type ArchivePlace, type ArchiveReader } from "../store/archived.ts";

const [pack, unpack] = [promisify(gzip), promisify(gunzip)];
/** A receipt is a few hundred documents of a few KiB. */
const LINE_BYTES_MAX = 256 * 1024 * 1024;
const digestOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

export class ArchiveFolder implements ArchiveReader {
  readonly #folder: string;
  /** Whose files these are: no two writers have one. */
  readonly #writer: string;

  constructor(folder: string, writer: string) {
    this.#folder = folder;
    this.#writer = writer;
  }

  /** It is on the disk when this returns. */
  async append(receipt: Receipt, now: number): Promise<ArchivePlace> {
    return this.add(await pack(`${JSON.stringify(receipt)}\n`), now);
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

  async #packed({ file, start, bytes, digest }: ArchivePlace): Promise<Buffer> {
    const part = await partOf(path.join(this.#folder, path.basename(file)), start, bytes);
    if (digestOf(part) !== digest) throw new Error("it is not what was written there");
    return part;
  }

  async read(place: ArchivePlace): Promise<ReadonlyMap<string, Envelope>> {
    return toldWhere(place, async () => {
      const part = await this.#packed(place);
      const receipt = zReceipt.parse(JSON.parse((await unpack(part, { maxOutputLength: LINE_BYTES_MAX })).toString()));
      return new Map(receipt.documents.map(({ id, envelope }) => [id, signedAs(id, envelope)]));
    });
  }

  /** What this writer wrote is gone again: for who could not finish. */
  async undo(now: number): Promise<void> {
    await rm(path.join(this.#folder, this.#fileAt(now)), { force: true });
  }

  #fileAt(now: number): string {
    return `${new Date(now).toISOString().slice(0, 7)}-${this.#writer}.ndjson.gz`;
  }
}

async function toldWhere<T>({ file, start }: ArchivePlace, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ArchiveAway(`${file} of the archive cannot be read at ${start}: ${why}`, { cause });
  }
}

/** A file that was just made is found again after a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  await handle.sync().finally(() => handle.close());
}

async function partOf(file: string, start: number, bytes: number): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, start);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

function signedAs(id: string, envelope: Envelope): Envelope {
  const parsed = parseDocument(nodeCrypto, envelope);
  if (!parsed.ok || parsed.document.id !== id) throw new Error(`document ${id} is another there`);
  return envelope;
}
