/**
 * The Store on PostgreSQL (15 or later, no extension). All writing goes through the function commit_changes: one round trip, one commit.
 */
import { LIVE_STATES, invariant } from "@xenoservers/market";
import type { Envelope, Json, Kind } from "@xenoservers/protocol";
import type { Pool } from "pg";
import type {
  Change,
  CommitResult,
  Entities,
  EntityKind,
  LogAppend,
  LogHead,
  SealedRow,
  Store,
  StoredDocument,
  StoredEvent,
  Versioned,
} from "./store.ts";
import { isBound, type Reader } from "./reader.ts";

const LIVE = `(${LIVE_STATES.map((state) => `'${state}'`).join(", ")})`;
/** `sees` of reader.ts, for the lease `e`: $1 is the reader's party, the others are where its account, label and server key stand. */
const sees = (account: string, label: string, serverKey: string): string => `(
  (${serverKey}::text is null and e.data->>'customer' = $1
    and (${account}::text is null or e.data->>'account' = ${account}) and (${label}::text is null or e.data->>'label' = ${label}))
  or (e.data->>'owner' = $1 and ${account}::text is null and ${label}::text is null
    and (${serverKey}::text is null or e.data->>'serverKey' = ${serverKey})))`;
const SEES = sees("$2", "$3", "$4");
const readerValues = ({ party, account, label, serverKey }: Reader) => [party, account, label, serverKey];
/** The same for the lease of an event `v`. */
const EVENT_SEEN = `and exists (select 1 from entity e where e.kind = 'lease' and e.id = v.lease and ${sees("$5", "$6", "$7")})`;
/**
 * unique_violation, serialization_failure, deadlock_detected: another commit came first; trying again is safe because changes are
 * conditional.
 */
const RETRYABLE = new Set(["23505", "40001", "40P01"]);
const TRIES_MAX = 5;

interface DocumentRecord {
  id: string;
  kind: Kind;
  lease: string | null;
  parties: string[];
  envelope: Envelope;
  at: string;
  salt: string;
  leaf: string;
}
const documentOf = (row: DocumentRecord): StoredDocument => ({ ...row, at: Number(row.at) });
const DOCUMENT_COLUMNS = "d.id, d.kind, d.lease, d.parties, d.envelope, d.at, d.salt, d.leaf";

/** The row of a query that always has one. */
function only<T>([row]: readonly T[]): T {
  invariant(row !== undefined, "the query has a row");
  return row;
}

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");

const wire = (changes: readonly Change[]): string =>
  JSON.stringify(changes, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));

export function createPostgresStore(pool: Pool): Store {
  async function dataOf<K extends EntityKind>(kind: K, where: string, values: unknown[], tail = ""): Promise<Entities[K][]> {
    const { rows } = await pool.query<{ data: Entities[K] }>(
      `select data from entity e where kind = '${kind}' and ${where} ${tail}`,
      values,
    );
    return rows.map((row) => row.data);
  }

  async function epoch(): Promise<number> {
    const { rows } = await pool.query<{ epoch: number }>("select max(epoch) as epoch from log_head");
    return rows[0]?.epoch ?? 0;
  }

  return {
    async now() {
      const { rows } = await pool.query<{ now: string }>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now");
      return Number(only(rows).now);
    },
    async beat(at) {
      const { rows } = await pool.query<{ before: string | null }>({
        name: "beat",
        text: `with before as (select at from hearing where one),
                 now as (insert into hearing (one, at) values (true, $1)
                   on conflict (one) do update set at = greatest(hearing.at, excluded.at))
               select at as before from before`,
        values: [at],
      });
      return rows[0]?.before == null ? null : Number(rows[0].before);
    },
    async load<K extends EntityKind>(kind: K, ids: readonly string[]) {
      const { rows } = await pool.query<{ id: string; version: number; data: Entities[K] }>({
        name: "load",
        text: "select id, version, data from entity where kind = $1 and id = any($2)",
        values: [kind, ids],
      });
      return new Map<string, Versioned<Entities[K]>>(rows.map((row) => [row.id, { version: row.version, data: row.data }]));
    },
    async commit(changes) {
      if (changes.length === 0) return [];
      for (let attempt = 1; ; attempt++) {
        try {
          const { rows } = await pool.query<{
            results: (Exclude<CommitResult, { status: "below_floor" }> | { status: "below_floor"; key: string; missing: string })[];
          }>({
            name: "commit",
            text: "select commit_changes($1::jsonb) as results",
            values: [wire(changes)],
          });
          return only(rows).results.map((result) =>
            result.status === "below_floor" ? { ...result, missing: BigInt(result.missing) } : result,
          );
        } catch (error) {
          if (attempt >= TRIES_MAX || !RETRYABLE.has(codeOf(error))) throw error;
        }
      }
    },
    async answerTo(id) {
      const { rows } = await pool.query<{ answer: Json }>("select answer from applied where id = $1", [id]);
      return rows[0]?.answer ?? null;
    },
    async balances(prefixes) {
      const { rows } = await pool.query<{ key: string; amount: string }>(
        "select key, amount from balance where exists (select 1 from unnest($1::text[]) p where starts_with(key, p))",
        [prefixes],
      );
      return new Map(rows.map((row) => [row.key, BigInt(row.amount)]));
    },
    async statement(account, limit) {
      const { rows } = await pool.query<{ id: string; debit: string; credit: string; amount: string; at: Date }>(
        `select id, debit, credit, amount, at from transfer
         where split_part(debit, '/', 1) = $1 or split_part(credit, '/', 1) = $1 order by seq desc limit $2`,
        [account, limit],
      );
      return rows.map((row) => ({ ...row, amount: BigInt(row.amount), at: row.at.getTime() }));
    },
    async keysOf(party, at, endedMax) {
      const good = `(data->>'revokedAt' is null or (data->>'revokedAt')::bigint > $2)
        and (data->>'expiresAt' is null or (data->>'expiresAt')::bigint > $2)`;
      const end = "least((data->>'revokedAt')::bigint, (data->>'expiresAt')::bigint)";
      const [live, ended] = await Promise.all([
        dataOf("key", `data->>'party' = $1 and ${good}`, [party, at]),
        endedMax === 0
          ? []
          : dataOf("key", `data->>'party' = $1 and not (${good})`, [party, at, endedMax], `order by ${end} desc limit $3`),
      ]);
      return [...live, ...ended];
    },
    keysRevokedSince: (since) => dataOf("key", "data->>'revokedAt' is not null and (data->>'revokedAt')::bigint >= $1", [since]),
    accountsOf: (party) => dataOf("account", "data->>'party' = $1", [party]),
    servers: () => dataOf("server", "true", []),
    leasesOf: (reader, live, limit) =>
      dataOf(
        "lease",
        `${SEES} ${live ? `and e.data->>'state' in ${LIVE}` : ""}`,
        [...readerValues(reader), limit],
        "order by (e.data->>'issuedAt')::bigint desc limit $5",
      ),
    leasesServerMustKnow: (server) =>
      dataOf(
        "lease",
        `data->>'server' = $1
         and (data->>'state' in ${LIVE} or (data->>'state' = 'disputed' and data->'trace'->'document' = 'null'::jsonb))`,
        [server],
      ),
    async findLeases(reader, idPrefix) {
      const { rows } = await pool.query<{ id: string }>(
        `select id from entity e where kind = 'lease' and starts_with(id, $5) and ${SEES} limit 3`,
        [...readerValues(reader), idPrefix],
      );
      return rows.map((row) => row.id);
    },
    async due(kind, now, limit) {
      const { rows } = await pool.query<{ id: string }>(
        `select id from entity where kind = $1 and data->>'deadlineAt' is not null and (data->>'deadlineAt')::bigint <= $2
         order by (data->>'deadlineAt')::bigint limit $3`,
        [kind, now, limit],
      );
      return rows.map((row) => row.id);
    },
    async document(id) {
      const { rows } = await pool.query<DocumentRecord>(`select ${DOCUMENT_COLUMNS} from document d where id = $1`, [id]);
      return rows[0] ? documentOf(rows[0]) : null;
    },
    async documentsOf(lease) {
      const { rows } = await pool.query<DocumentRecord>(`select ${DOCUMENT_COLUMNS} from document d where lease = $1 order by seq`, [
        lease,
      ]);
      return rows.map(documentOf);
    },
    async documentsOfKind(kind) {
      const { rows } = await pool.query<DocumentRecord>(`select ${DOCUMENT_COLUMNS} from document d where kind = $1 order by seq`, [kind]);
      return rows.map(documentOf);
    },
    async events(reader, after, limit) {
      const current = await epoch();
      const [cursorEpoch, xid, seq] = (after ?? "0.0.0").split(".");
      const from = Number(cursorEpoch) === current ? [xid, seq] : ["0", seq];
      const bound = isBound(reader);
      const { rows } = await pool.query<StoredEvent & { xid: string; seq: string }>({
        name: bound ? "bound-events" : "events",
        text: `select xid::text, seq, party, v.kind, lease, v.data, at from event v
               where party = $1 and (xid, seq) > ($2::text::xid8, $3::bigint) and xid < pg_snapshot_xmin(pg_current_snapshot())
                 ${bound ? EVENT_SEEN : ""}
               order by xid, seq limit $4`,
        values: [reader.party, from[0], from[1], limit, ...(bound ? [reader.account, reader.label, reader.serverKey] : [])],
      });
      return rows.map(({ xid: eventXid, seq: eventSeq, ...event }) => ({
        ...event,
        at: Number(event.at),
        cursor: `${current}.${eventXid}.${eventSeq}`,
      }));
    },
    async putSealed({ lease, bytes, digest, at, until }, bytesMax) {
      const { rows } = await pool.query<{ kept: string | null }>("select put_sealed($1, $2, $3, $4, $5, $6) as kept", [
        ...[lease, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), digest, at, until, bytesMax],
      ]);
      return rows[0]?.kept ?? null;
    },
    async getSealed(lease) {
      const { rows } = await pool.query<Omit<SealedRow, "at" | "until"> & { at: string; until: string }>(
        "select lease, bytes, digest, at, until from sealed where lease = $1",
        [lease],
      );
      return rows[0] ? { ...rows[0], at: Number(rows[0].at), until: Number(rows[0].until) } : null;
    },
    async sealedDigest(lease) {
      const { rows } = await pool.query<{ digest: string }>("select digest from sealed where lease = $1", [lease]);
      return rows[0]?.digest ?? null;
    },
    async dropSealed(before) {
      const { rowCount } = await pool.query("delete from sealed where until <= $1", [before]);
      return rowCount ?? 0;
    },
    async logHead() {
      const { rows } = await pool.query<LogHead & { size: string }>(
        "select epoch, size, root, checkpoint from log_head order by epoch desc limit 1",
      );
      return rows[0] ? { ...rows[0], size: Number(rows[0].size) } : null;
    },
    async logPending(limit) {
      const { rows } = await pool.query<DocumentRecord>({
        name: "pending",
        text: `select ${DOCUMENT_COLUMNS} from log_pending p join document d on d.id = p.document_id order by p.seq limit $1`,
        values: [limit],
      });
      return rows.map(documentOf);
    },
    async logAppend({ epoch: inEpoch, oldSize, leaves, nodes, head }: LogAppend) {
      const { rows } = await pool.query<{ moved: boolean }>({
        name: "append",
        text: `with moved as (
                 update log_head set size = $3, root = $4, checkpoint = $5 where epoch = $1 and size = $2 returning 1
               ), leaves as (
                 insert into log_leaf (epoch, index, hash, document_id)
                   select $1, $2::bigint + ord - 1, l->>'hash', l->>'documentId'
                     from jsonb_array_elements($6::jsonb) with ordinality as ls(l, ord) where exists (select 1 from moved)
               ), nodes as (
                 insert into log_node (epoch, level, index, hash)
                   select $1, (n->>'level')::int, (n->>'index')::bigint, n->>'hash'
                     from jsonb_array_elements($7::jsonb) n where exists (select 1 from moved)
               ), taken as (
                 delete from log_pending
                   where document_id in (select l->>'documentId' from jsonb_array_elements($6::jsonb) l) and exists (select 1 from moved)
               )
               select exists (select 1 from moved) as moved`,
        values: [inEpoch, oldSize, head.size, head.root, head.checkpoint, JSON.stringify(leaves), JSON.stringify(nodes)],
      });
      return only(rows).moved;
    },
    async logNodes(refs) {
      if (refs.length === 0) return [];
      const { rows } = await pool.query<{ hash: string | null }>(
        `select n.hash from jsonb_array_elements($1::jsonb) with ordinality as rs(r, ord)
         left join log_node n on n.epoch = $2 and n.level = (r->>'level')::int and n.index = (r->>'index')::bigint order by ord`,
        [JSON.stringify(refs), await epoch()],
      );
      return rows.map((row) => {
        invariant(row.hash !== null, "a node of the log is missing");
        return row.hash;
      });
    },
    async logIndexOf(leaf) {
      const { rows } = await pool.query<{ index: string }>(
        "select index from log_leaf where hash = $1 and epoch = (select max(epoch) from log_head)",
        [leaf],
      );
      return rows[0] ? Number(rows[0].index) : null;
    },
    async logEntries(from, to) {
      const { rows } = await pool.query<DocumentRecord>(
        `select ${DOCUMENT_COLUMNS} from log_leaf l join document d on d.id = l.document_id
         where l.epoch = (select max(epoch) from log_head) and l.index >= $1 and l.index < $2 order by l.index`,
        [from, to],
      );
      return rows.map(documentOf);
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
    async audit() {
      const { rows } = await pool.query<{ balances: [string, string][]; sums: [string, string][]; live: string; held: string }>(`
        select (select coalesce(jsonb_agg(jsonb_build_array(key, amount::text)), '[]') from balance) as balances,
               (select coalesce(jsonb_agg(jsonb_build_array(key, total::text)), '[]') from (
                  select key, sum(amount) as total
                    from (select debit as key, -amount as amount from transfer union all select credit, amount from transfer) m group by key) s) as sums,
               (select coalesce(sum((data->>'holdNanos')::bigint), 0)::text from entity
                  where kind = 'lease' and data->>'state' in ${LIVE}) as live,
               (select coalesce(sum(amount), 0)::text from balance where key like '%/held') as held`);
      const pairs = (list: [string, string][]) => new Map(list.map(([key, amount]) => [key, BigInt(amount)]));
      const row = only(rows);
      return { balances: pairs(row.balances), sums: pairs(row.sums), liveHolds: BigInt(row.live), held: BigInt(row.held) };
    },
    close: () => pool.end(),
  };
}
