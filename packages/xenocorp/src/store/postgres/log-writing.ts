/** How the log grows, and how an epoch begins. */
import type { Pool } from "pg";
import type { Store } from "../store.ts";
import { only, sqlOf } from "./sql.ts";

/** A document of nobody's lease. */
const START = "insert into document (id, kind, parties, envelope, at, salt, leaf) values ($1, $2, '{}', $3, $4, $5, $6)";
const APPEND = { name: "append", text: sqlOf("log-append") };

export const postgresLogWriting = (pool: Pool): Pick<Store, "logAppend" | "logStartEpoch"> => ({
  async logAppend({ epoch: inEpoch, oldSize, leaves, nodes, head, place }) {
    const { rows } = await pool.query<{ moved: boolean }>({
      ...APPEND,
      values: [
        ...[inEpoch, oldSize, head.size, head.root, head.checkpoint, JSON.stringify(leaves), JSON.stringify(nodes)],
        ...[place?.broker ?? null, place?.term ?? null],
      ],
    });
    return only(rows).moved;
  },
  async logStartEpoch(head, first) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      const { epoch, id, size, root, checkpoint } = head;
      await client.query("insert into log_head (epoch, id, size, root, checkpoint) values ($1, $2, $3, $4, $5)", [
        ...[epoch, id, size, root, checkpoint],
      ]);
      await client.query(START, [first.id, first.kind, JSON.stringify(first.envelope), first.at, first.salt, first.leaf]);
      await client.query("delete from log_pending");
      await client.query("insert into log_pending (document_id) select id from document order by id <> $1, seq", [first.id]);
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
});
