/** Which leases lie in the archive, and their documents from there. */
import { invariant } from "@xenoservers/market";
import type { Pool } from "pg";
import { filledFrom, type ArchivePlace, type ArchiveReader } from "../archived.ts";
import type { LoggedDocument, Store, StoredDocument } from "../store.ts";
import { sqlOf } from "./sql.ts";

const TO_ARCHIVE = sqlOf("to-archive");
const ARCHIVE = sqlOf("archive");

export const postgresArchive = (pool: Pool): Pick<Store, "toArchive" | "archive"> => ({
  async toArchive(before, limit) {
    return (await pool.query<{ id: string }>(TO_ARCHIVE, [before, limit])).rows.map(({ id }) => id);
  },
  async archive(lease, { file, start, bytes, digest }, documents) {
    return ((await pool.query(ARCHIVE, [lease, file, start, bytes, digest, documents])).rowCount ?? 0) > 0;
  },
});

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
  const away = new Set(documents.flatMap(({ lease, envelope }) => (envelope === null && lease !== null ? [lease] : [])));
  const read = await Promise.all([...away].map(async (lease) => archive.read(await placeOf(pool, lease))));
  return filledFrom(documents, read);
}
