/** Documents, events, and results that lie sealed for their customers. */
import { isBound, sees, type Reader } from "../reader.ts";
import type { Store, StoredEvent } from "../store.ts";
import type { Tables } from "./tables.ts";

/** A bound reader hears of its leases only. */
function mayHear({ rows }: Tables, reader: Reader, { lease }: StoredEvent): boolean {
  if (!isBound(reader)) return true;
  const row = lease === null ? undefined : rows.lease.get(lease);
  return row !== undefined && sees(reader, row.data);
}

export const memoryDocuments = (tables: Tables): Pick<Store, "document" | "documentsOf" | "documentsOfKind" | "events"> => ({
  document: async (id) => tables.documents.get(id) ?? null,
  documentsOf: async (lease) => [...tables.documents.values()].filter((document) => document.lease === lease),
  documentsOfKind: async (kind) => [...tables.documents.values()].filter((document) => document.kind === kind),
  async events(reader, after, limit) {
    const from = Number(after ?? 0);
    const own = tables.events.filter(({ party, cursor }) => party === reader.party && Number(cursor) > from);
    return own.filter((event) => mayHear(tables, reader, event)).slice(0, limit);
  },
});

export const memorySealed = ({ sealed }: Tables): Pick<Store, "putSealed" | "getSealed" | "sealedDigest" | "dropSealed"> => ({
  async putSealed(row, bytesMax) {
    const known = sealed.get(row.lease);
    if (known) return known.digest;
    const kept = [...sealed.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
    if (kept + row.bytes.length > bytesMax) return null;
    sealed.set(row.lease, { ...row, bytes: Uint8Array.from(row.bytes) });
    return row.digest;
  },
  getSealed: async (lease) => sealed.get(lease) ?? null,
  sealedDigest: async (lease) => sealed.get(lease)?.digest ?? null,
  async dropSealed(before) {
    const over = [...sealed.values()].filter(({ until }) => until <= before);
    for (const { lease } of over) sealed.delete(lease);
    return over.length;
  },
});
