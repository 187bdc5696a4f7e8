/** What a store knows of the archive, in which the signed bytes of leases lie that are long over. */
import { invariant } from "@xenoservers/market";
import type { Envelope } from "@xenoservers/protocol";

/** Where a lease's receipt lies. */
export interface ArchivePlace {
  file: string;
  start: number;
  bytes: number;
  /** SHA-256 of those bytes. */
  digest: string;
}

export interface ArchiveReader {
  /** The signed bytes of the documents that lie there, by their ids. Throws where they cannot be read, or are not what was written. */
  read(place: ArchivePlace): Promise<ReadonlyMap<string, Envelope>>;
}

/** The archive is not here, or not what it was: not this program's fault, and no reason to say that a lease has no documents. */
export class ArchiveAway extends Error {
  override name = "ArchiveAway";
}

export const NO_ARCHIVE: ArchiveReader = {
  read: ({ file }) => Promise.reject(new ArchiveAway(`${file} of the archive is asked for, and this broker has none (--archive)`)),
};

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
