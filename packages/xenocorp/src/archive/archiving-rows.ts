/**
 * Moves the rows of leases to the archive whose receipts lie there: many to a file, which is on the disk before the database says so. Cut
 * off anywhere in between, it is begun again with the same rows, and makes the same file.
 */
import type { Store } from "../store/store.ts";
import type { ArchiveFolder } from "./archive-folder.ts";

/** As many rows are a file; fewer where the first of them has waited this long for others. */
const FILE_ROWS = 500;
const WAIT_MS = 86_400_000;

interface ArchivingRows {
  store: Store;
  folder: ArchiveFolder;
  now: number;
  /** As for receipts: how long a lease stays where it is after the last that was said of it. */
  afterMs: number;
}

/** Moves some; returns how many. */
export async function archiveRows({ store, folder, now, afterMs }: ArchivingRows): Promise<number> {
  const waiting = await store.rowsToArchive(FILE_ROWS);
  const [first] = waiting;
  if (first === undefined || (waiting.length < FILE_ROWS && first.over + afterMs + WAIT_MS > now)) return 0;
  const rows = await store.load(
    "lease",
    waiting.map(({ lease }) => lease),
  );
  const ordered = waiting.flatMap(({ lease }) => rows.get(lease) ?? []);
  const places = await folder.putRows(ordered.map(({ data }) => ({ ...data })));
  return store.archiveRows(places.map((place, i) => ({ ...place, version: ordered[i]?.version ?? 0 })));
}
