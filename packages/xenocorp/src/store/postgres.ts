/**
 * The Store on PostgreSQL (15 or later, no extension). All writing goes through the function commit_changes: one round trip, one commit.
 */
import type { Pool } from "pg";
import { postgresBooks } from "./postgres/books.ts";
import { postgresChanges } from "./postgres/changes.ts";
import { postgresDocuments, postgresFeed } from "./postgres/documents.ts";
import { postgresFigures } from "./postgres/figures.ts";
import { postgresLogReading } from "./postgres/log-reading.ts";
import { postgresLogWriting } from "./postgres/log-writing.ts";
import { postgresRows } from "./postgres/rows.ts";
import { postgresSealed } from "./postgres/sealed.ts";
import type { Store } from "./store.ts";

export const createPostgresStore = (pool: Pool): Store => ({
  ...postgresChanges(pool),
  ...postgresBooks(pool),
  ...postgresFigures(pool),
  ...postgresRows(pool),
  ...postgresDocuments(pool),
  ...postgresFeed(pool),
  ...postgresSealed(pool),
  ...postgresLogReading(pool),
  ...postgresLogWriting(pool),
  close: () => pool.end(),
});
