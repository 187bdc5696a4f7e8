/**
 * The Store in memory: the deterministic twin used by the simulation. It passes the same contract suite as Postgres (store/contract.ts).
 */
import { NO_ARCHIVE, type ArchiveReader } from "./archived.ts";
import { memoryArchive } from "./memory/archive.ts";
import { memoryBooks } from "./memory/books.ts";
import { memoryChanges } from "./memory/changes.ts";
import { memoryDocuments, memoryFeed, memorySealed } from "./memory/documents.ts";
import { memoryFigures } from "./memory/figures.ts";
import { memoryLog } from "./memory/log.ts";
import { memoryRows } from "./memory/rows.ts";
import { Tables } from "./memory/tables.ts";
import type { Store } from "./store.ts";

export function createMemoryStore(clock: () => number, archive: ArchiveReader = NO_ARCHIVE): Store {
  const tables = new Tables(clock);
  return {
    ...memoryChanges(tables, archive),
    ...memoryBooks(tables),
    ...memoryFigures(tables),
    ...memoryRows(tables, archive),
    ...memoryDocuments(tables, archive),
    ...memoryArchive(tables),
    ...memoryFeed(tables),
    ...memorySealed(tables),
    ...memoryLog(tables),
    close: async () => {},
  };
}
