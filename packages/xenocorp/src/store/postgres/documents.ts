/** Documents and events. */
import type { Pool } from "pg";
import { numbersIn } from "../cursors.ts";
import { isBound } from "../reader.ts";
import type { Store, StoredDocument, StoredEvent } from "../store.ts";
import { documentOf, only, sqlOf, type DocumentRecord } from "./sql.ts";

const EVENTS = { name: "events", text: sqlOf("events") };
const EVENTS_OF_ALL = { name: "events-all", text: sqlOf("events-all") };
const EVENTS_SEEN = { name: "events-seen", text: sqlOf("events-seen") };

const EPOCH_DIGITS = 12;

/** Stands in cursors for the log's epoch: two restores of one backup are two epochs of the same place in turn. */
async function epochMark(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ id: string }>("select id from log_head order by epoch desc limit 1");
  return Number.parseInt(rows[0]?.id.slice(0, EPOCH_DIGITS) ?? "0", 16);
}

/** A cursor counts in its own epoch; in a later one the old events come first again, by their order. */
function placeOf(cursor: string | null, epoch: number): [xid: string, seq: string] {
  const [of = 0n, xid = 0n, seq = 0n] = numbersIn(cursor ?? "");
  return [String(Number(of) === epoch ? xid : 0n), String(seq)];
}

type EventRecord = StoredEvent & { xid: string; seq: string };

const eventsIn = (rows: readonly EventRecord[], epoch: number): StoredEvent[] =>
  rows.map(({ xid, seq, ...event }) => ({ ...event, at: Number(event.at), cursor: `${epoch}.${xid}.${seq}` }));

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
      return eventsIn((await pool.query<EventRecord>(query)).rows, epoch);
    },
  };
}

/** What one reader per broker needs to hear of all events. */
export const postgresFeed = (pool: Pool): Pick<Store, "eventsOfAll" | "eventsEnd" | "hintEvents" | "hearEvents"> => ({
  async eventsOfAll(after, limit) {
    const epoch = await epochMark(pool);
    return eventsIn((await pool.query<EventRecord>({ ...EVENTS_OF_ALL, values: [...placeOf(after, epoch), limit] })).rows, epoch);
  },
  async eventsEnd() {
    const { rows } = await pool.query<{ xid: string }>("select pg_snapshot_xmin(pg_current_snapshot())::text as xid");
    return `${await epochMark(pool)}.${only(rows).xid}.0`;
  },
  async hintEvents() {
    await pool.query("notify xeno_events");
  },
  async hearEvents(heard, lost) {
    const client = await pool.connect();
    let open = true;
    const stop = (): void => {
      if (open) client.release(true);
      open = false;
    };
    client.on("notification", heard);
    client.once("end", () => {
      if (open) lost();
      stop();
    });
    try {
      await client.query("listen xeno_events");
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  },
});
