/**
 * The Store on PostgreSQL (15 or later, no extension). All writing goes through the function commit_once: one round trip, one commit.
 */
import type { Pool } from "pg";
import { NO_ARCHIVE, type ArchiveReader } from "./archived.ts";
import { postgresArchive } from "./postgres/archive.ts";
import { postgresBooks } from "./postgres/books.ts";
import { postgresChanges } from "./postgres/changes.ts";
import { postgresDocuments, postgresFeed } from "./postgres/documents.ts";
import { postgresFigures } from "./postgres/figures.ts";
import { postgresLogReading } from "./postgres/log-reading.ts";
import { postgresLogWriting } from "./postgres/log-writing.ts";
import { postgresRows } from "./postgres/rows.ts";
import { postgresSealed } from "./postgres/sealed.ts";
import type { Store } from "./store.ts";

export const createPostgresStore = (pool: Pool, archive: ArchiveReader = NO_ARCHIVE): Store => ({
  ...postgresChanges(pool, archive),
  ...postgresBooks(pool),
  ...postgresFigures(pool),
  ...postgresRows(pool, archive),
  ...postgresDocuments(pool, archive),
  ...postgresArchive(pool),
  ...postgresFeed(pool),
  ...postgresSealed(pool),
  ...postgresLogReading(pool),
  ...postgresLogWriting(pool),
  close: () => pool.end(),
});
