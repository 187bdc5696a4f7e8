/**
 * Tables as full as a market's after years: one customer that ordered most of it from one owner's server, with the same key. Made by the
 * database itself; money is none of it.
 */
import type { Pool } from "pg";

export interface Size {
  leases: number;
  documents: number;
  /** Half of what they listed is over. */
  servers: number;
}

/** Of every lease but each hundredth, which is somebody else's. */
export const BIG = { customer: "p_customer", owner: "p_owner", server: "s_big", serverKey: "k_big", account: "a_big", label: "nightly" };
/** Of every thousandth lease. */
export const RARE_LABEL = "rare";
export const NOW = 1_000_000;

const id = (prefix: string): string => `lpad(to_hex(i), 8, '0') || '${prefix}'`;

const LEASES = `
  insert into entity (kind, id, version, data)
  select 'lease', ${id("ee")}, 1, jsonb_build_object(
    'id', ${id("ee")},
    'customer', case when i % 100 = 0 then 'p_' || i else '${BIG.customer}' end,
    'owner', case when i % 100 = 0 then 'p_o' || i else '${BIG.owner}' end,
    'account', '${BIG.account}', 'serverKey', '${BIG.serverKey}', 'server', '${BIG.server}',
    'label', case when i % 1000 = 1 then '${RARE_LABEL}' else '${BIG.label}' end,
    'state', case when i % 5000 = 1 then 'open' else 'final' end, 'toldAt', i,
    'holdNanos', '0', 'issuedAt', i, 'deadlineAt', case when i % 5000 = 1 then to_jsonb(i) else 'null'::jsonb end, 'filler', repeat('x', 600))
    from generate_series(1, $1::int) i`;
const SERVERS = `
  insert into entity (kind, id, version, data)
  select 'server', 's_' || i, 1, jsonb_build_object('id', 's_' || i, 'owner', 'p_' || i, 'key', 'k', 'sequence', 1, 'offerId', 'o',
    'offer', jsonb_build_object('owner', 'p_' || i, 'validUntil', case when i % 2 = 0 then 1 else 2 * ${NOW} end))
    from generate_series(1, $1::int) i`;
const KEYS = `
  insert into entity (kind, id, version, data)
  select 'key', 'k_' || i, 1, jsonb_build_object('id', 'k_' || i, 'party', 'p_' || (i % 2000), 'role', 'device',
    'revokedAt', case when i % 2 = 0 then to_jsonb(i) else 'null'::jsonb end, 'expiresAt', null)
    from generate_series(1, $1::int) i`;
const BALANCES = `insert into balance (key, amount) select 'a_' || i || '/available', 0 from generate_series(1, $1::int) i`;
const TRANSFERS = `
  insert into transfer (id, debit, credit, amount, xid)
  select 'seeded' || i, '${BIG.account}/available', 'a_' || i || '/available', 1, '1'::xid8 from generate_series(1, $1::int) i`;
const DOCUMENTS = `
  insert into document (id, kind, lease, parties, envelope, at, salt, leaf)
  select ${id("dd")}, case when i % 200000 = 7 then 'witness' else 'usage-claim' end, lpad(to_hex(i / 10), 8, '0') || 'ee', array['${BIG.customer}'],
    '{}', i, 'salt', 'leaf' || i from generate_series(1, $1::int) i`;
const LOG = `
  insert into log_leaf (epoch, index, hash, document_id) select 0, i - 1, 'leaf' || i, ${id("dd")} from generate_series(1, $1::int) i`;
const NODES = `insert into log_node (epoch, level, index, hash) select 0, 0, i - 1, 'n' from generate_series(1, $1::int) i`;
const EVENTS = `
  insert into event (xid, party, kind, lease, data, at)
  select '1'::xid8, '${BIG.customer}', 'lease-final', ${id("ee")}, '{}', i from generate_series(1, $1::int) i`;
const ANSWERS = `insert into applied (id, answer) select 'seeded' || i, '{}' from generate_series(1, $1::int) i`;
const UNIQUES = `insert into reference (digest) select reference_digest('seeded' || i) from generate_series(1, $1::int) i`;
/** The older half of what is over; of the older half of that the rows, too. */
const ARCHIVED = `
  insert into archived (lease, over, file, start, bytes, digest, row_file, row_start, row_bytes, row_digest)
  select ${id("ee")}, i, 'f', 0, 1, 'd', case when i <= $1 / 4 then 'r' end, 0, 1, md5('r')::uuid from generate_series(1, $1::int / 2) i where i % 5000 <> 1`;
const STUBS = `
  update entity set data = lease_stub(data)
   where kind = 'lease' and $1::int > 0 and id in (select lease from archived where row_file is not null)`;
const HEAD = "insert into log_head (epoch, id, size, root, checkpoint) values (0, repeat('0', 32), $1, 'r', 'c')";

/** Fills the tables and has the database look at them, as it does by itself after a while. */
export async function fillHistory(pool: Pool, { leases, documents, servers }: Size): Promise<void> {
  const fills: [string, number][] = [
    [SERVERS, servers],
    ...[LEASES, ARCHIVED, STUBS, KEYS, BALANCES, TRANSFERS, ANSWERS, UNIQUES].map((sql): [string, number] => [sql, leases]),
    ...[DOCUMENTS, LOG, NODES, EVENTS, HEAD].map((sql): [string, number] => [sql, documents]),
  ];
  for (const [sql, count] of fills) await pool.query(sql, [count]);
  // what was seeded was proved; what is moved from now on was not
  await pool.query("update proved set before = pg_snapshot_xmin(pg_current_snapshot())");
  await pool.query("insert into proved_sum (key, amount) select key, amount from balance");
  await pool.query("analyze");
}
