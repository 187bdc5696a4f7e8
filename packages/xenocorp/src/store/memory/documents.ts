/** Documents, events, and results that lie sealed for their customers. */
import { isAfter } from "../cursors.ts";
import { isBound, sees, type Reader } from "../reader.ts";
import { SEALED_OWNER_SHARE, inARow, type SealedRow, type Store, type StoredEvent } from "../store.ts";
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
    const own = tables.events.filter(({ party, cursor }) => party === reader.party && isAfter(cursor, after));
    return own.filter((event) => mayHear(tables, reader, event)).slice(0, limit);
  },
});

export const memoryFeed = (tables: Tables): Pick<Store, "eventsOfAll" | "eventsEnd" | "hintEvents" | "hearEvents"> => ({
  eventsOfAll: async (after, limit) => tables.events.filter(({ cursor }) => isAfter(cursor, after)).slice(0, limit),
  eventsEnd: async () => tables.events.at(-1)?.cursor ?? "0",
  async hintEvents() {
    for (const heard of tables.ears) heard();
  },
  async hearEvents(heard) {
    tables.ears.add(heard);
    return () => void tables.ears.delete(heard);
  },
});

const keyOf = ({ lease, part }: Pick<SealedRow, "lease" | "part">): string => `${lease} ${part}`;

export const memorySealed = ({ sealed }: Tables): Pick<Store, "putSealed" | "getSealed" | "sealedDigests" | "dropSealed"> => ({
  async putSealed(row, bytesMax) {
    const known = sealed.get(keyOf(row));
    if (known) return known.digest;
    const kept = (rows: readonly SealedRow[]): number => rows.reduce((sum, { bytes }) => sum + bytes.length, row.bytes.length);
    const all = [...sealed.values()];
    const ofOwner = all.filter(({ owner }) => owner === row.owner);
    if (kept(all) > bytesMax || kept(ofOwner) > Math.floor(bytesMax / SEALED_OWNER_SHARE)) return null;
    sealed.set(keyOf(row), { ...row, bytes: Uint8Array.from(row.bytes) });
    return row.digest;
  },
  getSealed: async (lease, part) => sealed.get(keyOf({ lease, part })) ?? null,
  sealedDigests: async (lease) =>
    inARow([...sealed.values()].filter((row) => row.lease === lease).sort((one, other) => one.part - other.part)),
  async dropSealed(before) {
    const over = [...sealed.values()].filter(({ until }) => until <= before);
    for (const row of over) sealed.delete(keyOf(row));
    return over.length;
  },
});
