/** Documents and events. */
import type { Pool } from "pg";
import { isBound } from "../reader.ts";
import type { Store, StoredDocument, StoredEvent } from "../store.ts";
import { documentOf, sqlOf, type DocumentRecord } from "./sql.ts";

const EVENTS = { name: "events", text: sqlOf("events") };
const EVENTS_SEEN = { name: "events-seen", text: sqlOf("events-seen") };

const EPOCH_DIGITS = 12;

/** Stands in cursors for the log's epoch: two restores of one backup are two epochs of the same place in turn. */
async function epochMark(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ id: string }>("select id from log_head order by epoch desc limit 1");
  return Number.parseInt(rows[0]?.id.slice(0, EPOCH_DIGITS) ?? "0", 16);
}

/** A cursor counts in its own epoch; in a later one the old events come first again, by their order. */
function placeOf(cursor: string | null, epoch: number): [xid: string | undefined, seq: string | undefined] {
  const [of, xid, seq] = (cursor ?? "0.0.0").split(".");
  return Number(of) === epoch ? [xid, seq] : ["0", seq];
}

export function postgresDocuments(pool: Pool): Pick<Store, "document" | "documentsOf" | "documentsOfKind" | "events"> {
  const documentsOf = async (text: string, value: string): Promise<StoredDocument[]> =>
    (await pool.query<DocumentRecord>(text, [value])).rows.map(documentOf);
  return {
    document: async (id) => (await documentsOf("select * from document where id = $1", id))[0] ?? null,
    documentsOf: (lease) => documentsOf("select * from document where lease = $1 order by seq", lease),
    documentsOfKind: (kind) => documentsOf("select * from document where kind = $1 order by seq", kind),
    async events(reader, after, limit) {
      const epoch = await epochMark(pool);
      const { party, account, label, serverKey } = reader;
      const values = [party, ...placeOf(after, epoch), limit];
      const query = isBound(reader) ? { ...EVENTS_SEEN, values: [...values, account, label, serverKey] } : { ...EVENTS, values };
      const { rows } = await pool.query<StoredEvent & { xid: string; seq: string }>(query);
      return rows.map(({ xid, seq, ...event }) => ({ ...event, at: Number(event.at), cursor: `${epoch}.${xid}.${seq}` }));
    },
  };
}
