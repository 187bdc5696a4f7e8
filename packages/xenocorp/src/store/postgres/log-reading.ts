/** The log as it stands: heads, pending documents, nodes, entries. */
import { invariant } from "@xenoservers/market";
import type { Pool } from "pg";
import type { LogHead, Store } from "../store.ts";
import { documentOf, sqlOf, type DocumentRecord } from "./sql.ts";

const PENDING = { name: "pending", text: sqlOf("log-pending") };
const NODES = sqlOf("log-nodes");
const ENTRIES = sqlOf("log-entries");

export const postgresLogReading = (
  pool: Pool,
): Pick<Store, "logHead" | "logHeads" | "logPending" | "logNodes" | "logIndexesOf" | "logEntries"> => ({
  async logHead() {
    const { rows } = await pool.query<LogHead & { size: string }>(
      "select epoch, id, size, root, checkpoint from log_head order by epoch desc limit 1",
    );
    return rows[0] ? { ...rows[0], size: Number(rows[0].size) } : null;
  },
  async logHeads() {
    const { rows } = await pool.query<LogHead & { size: string }>("select epoch, id, size, root, checkpoint from log_head order by epoch");
    return rows.map((row) => ({ ...row, size: Number(row.size) }));
  },
  async logPending(limit) {
    const { rows } = await pool.query<DocumentRecord>({ ...PENDING, values: [limit] });
    return rows.map(documentOf);
  },
  async logNodes(refs, epoch) {
    if (refs.length === 0) return [];
    const { rows } = await pool.query<{ hash: string | null }>(NODES, [JSON.stringify(refs), epoch ?? null]);
    return rows.map((row) => {
      invariant(row.hash !== null, "a node of the log is missing");
      return row.hash;
    });
  },
  async logIndexesOf(leaves) {
    const { rows } = await pool.query<{ hash: string; index: string }>(
      "select hash, index from log_leaf where hash = any($1) and epoch = (select max(epoch) from log_head)",
      [leaves],
    );
    return new Map(rows.map(({ hash, index }) => [hash, Number(index)]));
  },
  async logEntries(from, to) {
    const { rows } = await pool.query<DocumentRecord>(ENTRIES, [from, to]);
    return rows.map(documentOf);
  },
});
