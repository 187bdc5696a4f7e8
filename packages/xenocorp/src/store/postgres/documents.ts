/** Documents and events. */
import type { Pool } from "pg";
import { epochMark, numbersIn } from "../cursors.ts";
import type { ArchiveReader } from "../archived.ts";
import { isBound } from "../reader.ts";
import type { Store, StoredDocument, StoredEvent } from "../store.ts";
import { withEnvelopes } from "./archive.ts";
import { documentOf, only, sqlOf, type DocumentRecord } from "./sql.ts";

const EVENTS = { name: "events", text: sqlOf("events") };
const EVENTS_OF_ALL = { name: "events-all", text: sqlOf("events-all") };
const EVENTS_SEEN = { name: "events-seen", text: sqlOf("events-seen") };

const DOCUMENTS_AFTER =
  "select * from document where lease = $1 and seq > coalesce((select seq from document where id = $2), 0) order by seq limit $3";
/** As the index of them says it (migration 014). */
const DOCUMENTS_AFTER_BRIEF = DOCUMENTS_AFTER.replace("order by", "and kind not in ('claim', 'claim-receipt') order by");
const LAST_DOCUMENT = "select * from document where lease = $1 order by seq desc limit 1";
const DROP_EVENTS = sqlOf("drop-events");

async function markNow(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ id: string }>("select id from log_head order by epoch desc limit 1");
  return epochMark(rows[0]?.id);
}

/** A cursor counts in its own epoch; in a later one the old events come first again, by their order. */
function placeOf(cursor: string | null, epoch: number): [xid: string, seq: string] {
  const [of = 0n, xid = 0n, seq = 0n] = numbersIn(cursor ?? "");
  return [String(Number(of) === epoch ? xid : 0n), String(seq)];
}

type EventRecord = StoredEvent & { xid: string; seq: string };

const eventsIn = (rows: readonly EventRecord[], epoch: number): StoredEvent[] =>
  rows.map(({ xid, seq, ...event }) => ({ ...event, at: Number(event.at), cursor: `${epoch}.${xid}.${seq}` }));

type Documents = Pick<
  Store,
  "document" | "documentsOf" | "documentsAfter" | "lastDocumentOf" | "documentsOfKind" | "events" | "dropEvents"
>;

export function postgresDocuments(pool: Pool, archive: ArchiveReader): Documents {
  const documentsOf = async (text: string, ...values: readonly (string | number | null)[]): Promise<StoredDocument[]> =>
    withEnvelopes(pool, archive, (await pool.query<DocumentRecord>(text, [...values])).rows.map(documentOf));
  /** Whether events of the party that come after this place are gone. */
  const hasLost = async (party: string, [xid, seq]: readonly [string, string]): Promise<boolean> => {
    const lost = "select from event_dropped where party = $1 and (xid, seq) > ($2::text::xid8, $3::bigint)";
    return (await pool.query(lost, [party, xid, seq])).rows.length > 0;
  };
  return {
    document: async (id) => (await documentsOf("select * from document where id = $1", id))[0] ?? null,
    documentsOf: (lease) => documentsOf("select * from document where lease = $1 order by seq", lease),
    documentsAfter: (lease, after, limit, brief = false) =>
      documentsOf(brief ? DOCUMENTS_AFTER_BRIEF : DOCUMENTS_AFTER, lease, after, limit),
    lastDocumentOf: async (lease) => (await documentsOf(LAST_DOCUMENT, lease))[0] ?? null,
    documentsOfKind: (kind) => documentsOf("select * from document where kind = $1 order by seq", kind),
    async events(reader, after, limit) {
      const epoch = await markNow(pool);
      const { party, account, label, serverKey } = reader;
      const place = placeOf(after, epoch);
      const values = [party, ...place, limit];
      const query = isBound(reader) ? { ...EVENTS_SEEN, values: [...values, account, label, serverKey] } : { ...EVENTS, values };
      const { rows } = await pool.query<EventRecord>(query);
      // looked up after they were read: what was dropped meanwhile is noted by then
      return after !== null && (await hasLost(party, place)) ? null : eventsIn(rows, epoch);
    },
    async dropEvents(before, limit) {
      return Number(only((await pool.query<{ dropped: string }>(DROP_EVENTS, [before, limit])).rows).dropped);
    },
  };
}

/** What one reader per broker needs to hear of all events. */
export const postgresFeed = (pool: Pool): Pick<Store, "eventsOfAll" | "eventsEnd"> => ({
  async eventsOfAll(after, limit) {
    const epoch = await markNow(pool);
    return eventsIn((await pool.query<EventRecord>({ ...EVENTS_OF_ALL, values: [...placeOf(after, epoch), limit] })).rows, epoch);
  },
  async eventsEnd() {
    const { rows } = await pool.query<{ xid: string }>("select pg_snapshot_xmin(pg_current_snapshot())::text as xid");
    return `${await markNow(pool)}.${only(rows).xid}.0`;
  },
});
