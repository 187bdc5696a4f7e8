/**
 * The archive's files of rows: what the broker itself made of leases that are long over, and keeps for lists and questions. A line of JSON
 * for each lease, compressed by itself, so that a file is plain `.ndjson.gz` and one row is read alone. A file is named by the SHA-256 of
 * its bytes and is there whole or not at all: written again it is the same file. Who controls the inputs: whoever may write to the folder.
 */
import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { invariant } from "@xenoservers/market";
import { zArchivedRow, type ArchivedRow } from "@xenoservers/protocol";
import { ArchiveAway, type RowPlace } from "../store/archived.ts";
import { asWritten, awayAt, bytesAt, digestOf, packedLine, syncFolder } from "./archive-files.ts";

/** A row is a few KiB. */
const LINE_BYTES_MAX = 16 * 1024 * 1024;
/** More than a file of rows has. */
const SPAN_BYTES_MAX = 4 * 1024 * 1024;
/** As many hexadecimal digits of a row's digest are kept. */
const DIGEST_CHARS = 32;

const nameOf = (digest: string): string => `rows-${digest}.ndjson.gz`;
/** Of a name that the database holds nothing leads out of the folder. */
const fileIn = (folder: string, digest: string): string => path.join(folder, nameOf(path.basename(digest)));

interface RowFile {
  /** Its SHA-256, by which it is named. */
  digest: string;
  bytes: Buffer;
  places: RowPlace[];
}

/** The same rows in the same order are the same file. */
export async function rowFileOf(rows: readonly ArchivedRow["row"][]): Promise<RowFile> {
  const lines = await Promise.all(rows.map((row) => packedLine({ format: "xenoservers-row-1", lease: row.id, row } satisfies ArchivedRow)));
  const bytes = Buffer.concat(lines);
  const digest = digestOf(bytes);
  let start = 0;
  const places = rows.map(({ id: lease }, i): RowPlace => {
    const line = lines[i];
    invariant(line, "each row has its line");
    const place = { lease, file: digest, start, bytes: line.length, digest: digestOf(line).slice(0, DIGEST_CHARS) };
    start += line.length;
    return place;
  });
  return { digest, bytes, places };
}

/** It is on the disk, whole, when this returns. Until then it has a name of its own, which no other writer has. */
export async function putRowFile(folder: string, { digest, bytes }: Omit<RowFile, "places">): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = fileIn(folder, digest);
  const part = `${file}.${randomUUID()}.part`;
  try {
    const handle = await open(part, "wx", 0o600);
    await handle
      .writeFile(bytes)
      .then(() => handle.sync())
      .finally(() => handle.close());
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** Its bytes. Throws where it is away, or is not what its name says. */
export async function rowFileBytes(folder: string, digest: string): Promise<Buffer> {
  try {
    const bytes = await readFile(fileIn(folder, digest));
    if (digestOf(bytes) !== digest) throw new Error("it is not what was written there");
    return bytes;
  } catch (cause) {
    throw awayAt({ file: nameOf(digest), start: 0 }, cause);
  }
}

export const dropRowFile = (folder: string, digest: string): Promise<void> => rm(fileIn(folder, digest), { force: true });

/** Rows that lie there, file by file; `problem`: why one that is missing cannot be read. */
export async function readRowsIn(
  folder: string,
  places: readonly RowPlace[],
): Promise<{ rows: Map<string, unknown>; problem: ArchiveAway | null }> {
  const rows = new Map<string, unknown>();
  let problem: ArchiveAway | null = null;
  for (const [digest, ofFile] of Map.groupBy(places, ({ file }) => file)) {
    try {
      for (const [place, part] of await partsOf(fileIn(folder, digest), ofFile)) {
        const row = rowIn(place, part);
        if (row instanceof ArchiveAway) problem = row;
        else rows.set(place.lease, row);
      }
    } catch (cause) {
      problem = awayAt({ file: nameOf(digest), start: 0 }, cause);
    }
  }
  return { rows, problem };
}

/** What lies at these places of a file: read at once where they are near each other, as the rows of a page are. */
async function partsOf(file: string, places: readonly RowPlace[]): Promise<[RowPlace, Buffer][]> {
  const from = Math.min(...places.map(({ start }) => start));
  const span = Math.max(...places.map(({ start, bytes }) => start + bytes)) - from;
  const handle = await open(file, "r");
  try {
    const parts: [RowPlace, Buffer][] = [];
    const all = span > SPAN_BYTES_MAX ? null : await bytesAt(handle, from, span);
    for (const place of places) {
      const { start, bytes } = place;
      parts.push([place, all?.subarray(start - from, start - from + bytes) ?? (await bytesAt(handle, start, bytes))]);
    }
    return parts;
  } finally {
    await handle.close();
  }
}

/** Unpacked on the spot: it is small, and its digest says that it was written here. */
function rowIn({ lease, file, start, digest }: RowPlace, part: Buffer): unknown {
  try {
    const unpacked = gunzipSync(asWritten(part, { digest }), { maxOutputLength: LINE_BYTES_MAX });
    const line = zArchivedRow.parse(JSON.parse(unpacked.toString()));
    if (line.lease !== lease || line.row.id !== lease) throw new Error("it is another lease's row");
    return line.row;
  } catch (cause) {
    return awayAt({ file: nameOf(file), start }, cause);
  }
}
