/** How the log grows, and how an epoch begins. */
import type { Pool } from "pg";
import type { Store } from "../store.ts";
import { only, sqlOf } from "./sql.ts";

const APPEND = { name: "append", text: sqlOf("log-append") };

export const postgresLogWriting = (pool: Pool): Pick<Store, "logAppend" | "logStartEpoch"> => ({
  async logAppend({ epoch: inEpoch, oldSize, leaves, nodes, head }) {
    const { rows } = await pool.query<{ moved: boolean }>({
      ...APPEND,
      values: [inEpoch, oldSize, head.size, head.root, head.checkpoint, JSON.stringify(leaves), JSON.stringify(nodes)],
    });
    return only(rows).moved;
  },
  async logStartEpoch(head) {
    const client = await pool.connect();
    try {
      await client.query("begin");
      await client.query("insert into log_head (epoch, size, root, checkpoint) values ($1, $2, $3, $4)", [
        head.epoch,
        head.size,
        head.root,
        head.checkpoint,
      ]);
      await client.query("delete from log_pending");
      await client.query("insert into log_pending (document_id) select id from document order by seq");
      await client.query("commit");
    } catch (error) {
      await client.query("rollback");
      throw error;
    } finally {
      client.release();
    }
  },
});
