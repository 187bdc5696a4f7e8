/** What a store knows of the archive, in which the signed bytes of leases lie that are long over. */
import { invariant, type Lease } from "@xenoservers/market";
import type { Envelope } from "@xenoservers/protocol";
import type { LeaseSides } from "./reader.ts";

/** Where a lease's receipt lies. */
export interface ArchivePlace {
  file: string;
  start: number;
  bytes: number;
  /** SHA-256 of those bytes. */
  digest: string;
}

/** Where a lease's row lies; of its digest the first half is kept, as 32 hexadecimal digits. */
export interface RowPlace extends ArchivePlace {
  lease: string;
}

/** What stays of a row that lies there. */
export interface LeaseStub extends LeaseSides {
  archived: true;
  id: string;
  state: Lease["state"];
  issuedAt: number;
  toldAt: number;
}

export const isStub = (row: object): row is LeaseStub => "archived" in row;

export interface ArchiveReader {
  /**
   * The signed bytes of those of these documents that lie there, by their ids; absent: of all. Throws where they cannot be read, or are
   * not what was written.
   */
  read(place: ArchivePlace, ids?: readonly string[]): Promise<ReadonlyMap<string, Envelope>>;
  /** The rows that lie there, as they were written, by their leases; `problem`: why those that are missing cannot be read. */
  readRows(places: readonly RowPlace[]): Promise<{ rows: ReadonlyMap<string, unknown>; problem: ArchiveAway | null }>;
}

/** The archive is not here, or not what it was: not this program's fault, and no reason to say that a lease has no documents. */
export class ArchiveAway extends Error {
  override name = "ArchiveAway";
}

const away = (file: string): ArchiveAway => new ArchiveAway(`${file} of the archive is asked for, and this broker has none (--archive)`);
export const NO_ARCHIVE: ArchiveReader = {
  read: ({ file }) => Promise.reject(away(file)),
  readRows: async ([first]) => ({ rows: new Map(), problem: first ? away(first.file) : null }),
};

/**
 * Rows of leases, whole wherever they lie, in their order; of those that cannot be read the stubs, and why. `places`: where those lie of
 * which only stubs are here.
 */
export async function wholeRows<Row extends { id: string }>(
  rows: readonly (Row | LeaseStub)[],
  archive: ArchiveReader,
  places: readonly RowPlace[],
): Promise<{ whole: Row[]; away: LeaseStub[]; problem: ArchiveAway | null }> {
  const read = places.length === 0 ? { rows: new Map<string, unknown>(), problem: null } : await archive.readRows(places);
  const [whole, stubs]: [Row[], LeaseStub[]] = [[], []];
  for (const row of rows) {
    // the digest says that it is what a store wrote there
    const there = isStub(row) ? (read.rows.get(row.id) as Row | undefined) : row;
    if (there !== undefined) whole.push(there);
    else if (isStub(row)) stubs.push(row);
  }
  return {
    whole,
    away: stubs,
    problem: stubs.length === 0 ? null : (read.problem ?? new ArchiveAway("a row is in no file of the archive")),
  };
}

/** Ids of those documents of which nothing but a place is here, by their leases. */
export function idsAway(documents: readonly { id: string; lease: string | null; envelope: Envelope | null }[]): Map<string, string[]> {
  const away = documents.flatMap(({ id, lease, envelope }) => (envelope === null && lease !== null ? [{ id, lease }] : []));
  return new Map([...Map.groupBy(away, ({ lease }) => lease)].map(([lease, ofLease]) => [lease, ofLease.map(({ id }) => id)]));
}

/** `read`: what the archive holds of their leases. */
export function filledFrom<D extends { id: string; envelope: Envelope | null }>(
  documents: readonly D[],
  read: readonly ReadonlyMap<string, Envelope>[],
): (D & { envelope: Envelope })[] {
  const envelopes = new Map(read.flatMap((held) => [...held]));
  return documents.map((document) => {
    const envelope = document.envelope ?? envelopes.get(document.id);
    invariant(envelope, "the archive holds what was moved there");
    return { ...document, envelope };
  });
}
