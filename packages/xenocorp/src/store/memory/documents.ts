/** Documents, events, and results that lie sealed for their customers. */
import type { ArchiveReader } from "../archived.ts";
import { epochMark, numbersIn } from "../cursors.ts";
import { isBound, sees, type Reader } from "../reader.ts";
import { SEALED_OWNER_SHARE, inARow, type MarketEvent, type SealedRow, type Store, type StoredEvent } from "../store.ts";
import { withEnvelopes } from "./archive.ts";
import type { Tables } from "./tables.ts";

/** A bound reader hears of its leases only. */
function mayHear({ rows }: Tables, reader: Reader, { lease }: MarketEvent): boolean {
  if (!isBound(reader)) return true;
  const row = lease === null ? undefined : rows.lease.get(lease);
  return row !== undefined && sees(reader, row.data);
}

type PlacedEvent = Tables["events"][number];

/** As in the database: in another epoch than the cursor's all events come again. */
function placeIn({ head }: Tables, cursor: string | null): bigint {
  const [of, , place = 0n] = numbersIn(cursor ?? "");
  return Number(of) === epochMark(head?.id) ? place : 0n;
}
const cursorOf = ({ head }: Tables, place: number): string => `${epochMark(head?.id)}.0.${place}`;
const storedEvent = (tables: Tables, { place, ...event }: PlacedEvent): StoredEvent => ({ ...event, cursor: cursorOf(tables, place) });

type Documents = Pick<
  Store,
  "document" | "documentsOf" | "documentsAfter" | "lastDocumentOf" | "documentsOfKind" | "events" | "dropEvents"
>;

const documentsOf = ({ documents }: Tables, lease: string) => [...documents.values()].filter((document) => document.lease === lease);

export const memoryDocuments = (tables: Tables, archive: ArchiveReader): Documents => ({
  async document(id) {
    const document = tables.documents.get(id);
    return document === undefined ? null : ((await withEnvelopes(tables, archive, [document]))[0] ?? null);
  },
  documentsOf: (lease) => withEnvelopes(tables, archive, documentsOf(tables, lease)),
  documentsAfter(lease, after, limit, brief = false) {
    const all = documentsOf(tables, lease);
    const rest = all.slice(all.findIndex(({ id }) => id === after) + 1);
    const wanted = brief ? rest.filter(({ kind }) => kind !== "claim" && kind !== "claim-receipt") : rest;
    return withEnvelopes(tables, archive, wanted.slice(0, limit));
  },
  async lastDocumentOf(lease) {
    return (await withEnvelopes(tables, archive, documentsOf(tables, lease).slice(-1)))[0] ?? null;
  },
  documentsOfKind: (kind) =>
    withEnvelopes(
      tables,
      archive,
      [...tables.documents.values()].filter((document) => document.kind === kind),
    ),
  async events(reader, after, limit) {
    const from = placeIn(tables, after);
    if (after !== null && BigInt(tables.eventsDropped.get(reader.party) ?? 0) > from) return null;
    const own = tables.events.filter(({ party, place }) => party === reader.party && BigInt(place) > from);
    const heard = own.filter((event) => mayHear(tables, reader, event));
    return heard.slice(0, limit).map((event) => storedEvent(tables, event));
  },
  async dropEvents(before, limit) {
    const firstKept = tables.events.findIndex(({ at }) => at >= before);
    const dropped = tables.events.splice(0, Math.min(limit, firstKept < 0 ? tables.events.length : firstKept));
    for (const { party, place } of dropped) tables.eventsDropped.set(party, place);
    return dropped.length;
  },
});

export const memoryFeed = (tables: Tables): Pick<Store, "eventsOfAll" | "eventsEnd"> => ({
  async eventsOfAll(after, limit) {
    const from = placeIn(tables, after);
    const rest = tables.events.filter(({ place }) => BigInt(place) > from);
    return rest.slice(0, limit).map((event) => storedEvent(tables, event));
  },
  eventsEnd: async () => cursorOf(tables, tables.eventsEver),
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
