/** Which leases lie in the archive, and their documents from there. */
import { invariant } from "@xenoservers/market";
import { filledFrom, type ArchivePlace, type ArchiveReader } from "../archived.ts";
import type { LeaseRow, LoggedDocument, Store, StoredDocument } from "../store.ts";
import type { Tables } from "./tables.ts";

const isOver = ({ state }: LeaseRow): boolean => state === "final" || state === "lapsed";

export const memoryArchive = (tables: Tables): Pick<Store, "toArchive" | "archive"> => ({
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
});

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
  const away = new Set(documents.flatMap(({ lease, envelope }) => (envelope === null && lease !== null ? [lease] : [])));
  return filledFrom(documents, await Promise.all([...away].map((lease) => archive.read(placeOf(lease)))));
}
