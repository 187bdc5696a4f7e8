/** Rows found by what stands in them: keys, accounts, servers, leases, deadlines. */
import type { Pool } from "pg";
import { wholeRows, type ArchiveReader } from "../archived.ts";
import { leasePlaceIn, leasePlaceOf, pageOf } from "../cursors.ts";
import type { LeaseSides } from "../reader.ts";
import { TURN_MS, type AccountRow, type KeyRow, type LeaseRow, type OrderRow, type ServerRow, type Store } from "../store.ts";
import { rowPlaces } from "./archive.ts";
import { LIVE, only, readerValues, sqlOf } from "./sql.ts";

const KEYS_GOOD = sqlOf("keys-good");
const KEYS_ENDED = sqlOf("keys-ended");
const KEYS_REVOKED = sqlOf("keys-revoked");
const LEASES_SEEN = sqlOf("leases-seen");
const LEASES_HELD = sqlOf("leases-held");
const LEASES_LIVE = sqlOf("leases-live");
const LEASES_OF_SERVER = sqlOf("leases-of-server");
const LEASES_FOUND = sqlOf("leases-found");
const LEASE_SIDES = sqlOf("lease-sides");
const SERVERS_LISTED = sqlOf("servers-listed");
const ORDERS_WAITING = sqlOf("orders-waiting");
const DUE = sqlOf("due");
const USE_CHALLENGE = sqlOf("use-challenge");
const FOUND_MAX = 3;

type Rows = Pick<
  Store,
  | ("keysOf" | "keysRevokedSince" | "useChallenge" | "accountsOf" | "listedServers" | "waitingOrders")
  | ("leasesOf" | "sidesOf" | "heldBy" | "leasesServerMustKnow" | "findLeases" | "due" | "giveBack")
>;

export function postgresRows(pool: Pool, archive: ArchiveReader): Rows {
  const dataOf = async <T>(text: string, values: unknown[]): Promise<T[]> =>
    (await pool.query<{ data: T }>(text, values)).rows.map(({ data }) => data);
  const idsOf = async (text: string, values: unknown[]): Promise<string[]> =>
    (await pool.query<{ id: string }>(text, values)).rows.map(({ id }) => id);
  return {
    async keysOf(party, at, endedMax) {
      const ended = endedMax === 0 ? [] : dataOf<KeyRow>(KEYS_ENDED, [party, at, endedMax]);
      return (await Promise.all([dataOf<KeyRow>(KEYS_GOOD, [party, at]), ended])).flat();
    },
    keysRevokedSince: (since) => dataOf<KeyRow>(KEYS_REVOKED, [since]),
    accountsOf: (party) => dataOf<AccountRow>("select data from entity where kind = 'account' and data->>'party' = $1", [party]),
    listedServers: (now) => dataOf<ServerRow>(SERVERS_LISTED, [now]),
    waitingOrders: (limit) => dataOf<OrderRow>(ORDERS_WAITING, [limit]),
    async leasesOf(reader, live, after, limit) {
      const { issuedAt, id } = leasePlaceIn(after);
      const values = [...readerValues(reader), ...(live ? [LIVE] : []), limit + 1, issuedAt, id];
      const { rows, next } = pageOf(await dataOf<LeaseRow>(live ? LEASES_LIVE : LEASES_SEEN, values), limit, leasePlaceOf);
      const { whole, away } = await wholeRows(rows, archive, await rowPlaces(pool, rows));
      return { rows: whole, next, away };
    },
    async sidesOf(leases) {
      const { rows } = await pool.query<LeaseSides & { id: string }>(LEASE_SIDES, [leases]);
      return new Map(rows.map(({ id, ...sides }) => [id, sides]));
    },
    async heldBy(reader) {
      return BigInt(only((await pool.query<{ held: string }>(LEASES_HELD, [...readerValues(reader), LIVE])).rows).held);
    },
    leasesServerMustKnow: (server) => dataOf<LeaseRow>(LEASES_OF_SERVER, [server, LIVE]),
    findLeases: (reader, idPrefix) => idsOf(LEASES_FOUND, [...readerValues(reader), idPrefix, FOUND_MAX]),
    due: (kind, now, limit, by) => idsOf(DUE, [kind, now, limit, by, now + TURN_MS]),
    async giveBack(kind, ids, by) {
      if (ids.length > 0) await pool.query("delete from turn where kind = $1 and id = any($2) and broker = $3", [kind, ids, by]);
    },
    useChallenge: async (challenge, until, now) => (await pool.query(USE_CHALLENGE, [challenge, until, now])).rows.length > 0,
  };
}
