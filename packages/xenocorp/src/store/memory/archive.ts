/** Which leases lie in the archive, and their documents and rows from there. */
import { invariant } from "@xenoservers/market";
import { filledFrom, idsAway, isStub, wholeRows, type ArchivePlace, type ArchiveReader, type LeaseStub } from "../archived.ts";
import type { LeaseRow, LoggedDocument, Store, StoredDocument } from "../store.ts";
import type { Tables } from "./tables.ts";

const isOver = ({ state }: LeaseRow): boolean => state === "final" || state === "lapsed";

export const memoryArchive = (tables: Tables): Pick<Store, "toArchive" | "archive" | "isArchived" | "rowsToArchive" | "archiveRows"> => ({
  async toArchive(before, limit) {
    const over = tables.all("lease").filter((lease) => isOver(lease) && lease.toldAt < before && !tables.archived.has(lease.id));
    const inOrder = over.sort((a, b) => a.toldAt - b.toldAt || (a.id < b.id ? -1 : 1));
    return inOrder.slice(0, limit).map(({ id }) => id);
  },
  async archive(lease, place, documents) {
    const row = tables.rows.lease.get(lease)?.data;
    if (!row || !isOver(row) || tables.archived.has(lease)) return false;
    tables.archived.set(lease, place);
    const moved = documents.flatMap((id) => tables.documents.get(id) ?? []).filter((document) => document.lease === lease);
    for (const document of moved) tables.documents.set(document.id, { ...document, envelope: null });
    return moved.length > 0;
  },
  isArchived: async () => tables.archived.size > 0,
  async rowsToArchive(limit) {
    const here = [...tables.archived.keys()].filter((lease) => !tables.archivedRows.has(lease));
    const rows = here.map((lease) => ({ lease, over: tables.rows.lease.get(lease)?.data.toldAt ?? 0 }));
    return rows.sort((a, b) => a.over - b.over || (a.lease < b.lease ? -1 : 1)).slice(0, limit);
  },
  async archiveRows(written) {
    let moved = 0;
    for (const { version, ...place } of written) {
      const row = tables.rows.lease.get(place.lease);
      if (!row || row.version !== version || !isOver(row.data) || !tables.archived.has(place.lease) || tables.archivedRows.has(place.lease))
        continue;
      tables.archivedRows.set(place.lease, place);
      // as in the database, where a row is whatever lies there
      tables.rows.lease.set(place.lease, { version, data: stubOf(row.data) as LeaseRow | LeaseStub as LeaseRow });
      moved++;
    }
    return moved;
  },
});

const stubOf = ({ id, customer, account, label, owner, serverKey, issuedAt, state, toldAt }: LeaseRow): LeaseStub => ({
  ...{ archived: true, id, customer, account, label, owner, serverKey, issuedAt, state, toldAt },
});

/** Rows of leases, whole wherever they lie. */
export const wholeFrom = (
  { archivedRows }: Tables,
  archive: ArchiveReader,
  rows: readonly LeaseRow[],
): ReturnType<typeof wholeRows<LeaseRow>> =>
  wholeRows(
    rows,
    archive,
    rows.filter(isStub).flatMap(({ id }) => archivedRows.get(id) ?? []),
  );

/** Documents with their signed bytes, wherever they lie. */
export async function withEnvelopes(
  { archived }: Tables,
  archive: ArchiveReader,
  documents: readonly LoggedDocument[],
): Promise<StoredDocument[]> {
  const placeOf = (lease: string): ArchivePlace => {
    const place = archived.get(lease);
    invariant(place, "what is not here lies in the archive");
    return place;
  };
  const away = [...idsAway(documents)];
  return filledFrom(documents, await Promise.all(away.map(([lease, ids]) => archive.read(placeOf(lease), ids))));
}
