/** Which leases lie in the archive, and their documents and rows from there. */
import { invariant } from "@xenoservers/market";
import type { Pool } from "pg";
import { filledFrom, idsAway, isStub, type ArchivePlace, type ArchiveReader, type RowPlace } from "../archived.ts";
import type { LoggedDocument, Store, StoredDocument } from "../store.ts";
import { sqlOf } from "./sql.ts";

const TO_ARCHIVE = sqlOf("to-archive");
const ARCHIVE = sqlOf("archive");
const ROWS_TO_ARCHIVE = sqlOf("rows-to-archive");
const ARCHIVE_ROWS = sqlOf("archive-rows");
const ROW_PLACES = sqlOf("row-places");

export const postgresArchive = (pool: Pool): Pick<Store, "toArchive" | "archive" | "isArchived" | "rowsToArchive" | "archiveRows"> => ({
  async toArchive(before, limit) {
    return (await pool.query<{ id: string }>(TO_ARCHIVE, [before, limit])).rows.map(({ id }) => id);
  },
  async archive(lease, { file, start, bytes, digest }, documents) {
    return ((await pool.query(ARCHIVE, [lease, file, start, bytes, digest, documents])).rowCount ?? 0) > 0;
  },
  isArchived: async () => (await pool.query("select from archived order by over limit 1")).rows.length > 0,
  async rowsToArchive(limit) {
    const { rows } = await pool.query<{ lease: string; over: string }>(ROWS_TO_ARCHIVE, [limit]);
    return rows.map(({ lease, over }) => ({ lease, over: Number(over) }));
  },
  async archiveRows(written) {
    let moved = 0;
    for (const [file, ofFile] of Map.groupBy(written, (row) => row.file))
      moved += (await pool.query(ARCHIVE_ROWS, [file, JSON.stringify(ofFile)])).rowCount ?? 0;
    return moved;
  },
});

/** Where those of the rows lie that are not here. */
export async function rowPlaces(pool: Pool, rows: readonly object[]): Promise<RowPlace[]> {
  const stubs = rows.filter(isStub).map(({ id }) => id);
  if (stubs.length === 0) return [];
  const places = await pool.query<RowPlace>({ name: "row-places", text: ROW_PLACES, values: [stubs] });
  return places.rows.map((place) => ({ ...place, digest: place.digest.replaceAll("-", "") }));
}

async function placeOf(pool: Pool, lease: string): Promise<ArchivePlace> {
  const { rows } = await pool.query<Omit<ArchivePlace, "start"> & { start: string }>(
    "select file, start, bytes, digest from archived where lease = $1",
    [lease],
  );
  invariant(rows[0], "what is not here lies in the archive");
  return { ...rows[0], start: Number(rows[0].start) };
}

/** Documents with their signed bytes, wherever they lie. */
export async function withEnvelopes(pool: Pool, archive: ArchiveReader, documents: readonly LoggedDocument[]): Promise<StoredDocument[]> {
  const read = await Promise.all([...idsAway(documents)].map(async ([lease, ids]) => archive.read(await placeOf(pool, lease), ids)));
  return filledFrom(documents, read);
}
