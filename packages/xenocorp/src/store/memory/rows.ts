/** Rows found by what stands in them: keys, accounts, servers, leases, deadlines. */
import type { ArchiveReader } from "../archived.ts";
import { leasePlaceIn, leasePlaceOf, pageOf, type LeasePlace } from "../cursors.ts";
import { sees } from "../reader.ts";
import { TURN_MS, type DueKind, type KeyRow, type LeaseRow, type Store } from "../store.ts";
import { wholeFrom } from "./archive.ts";
import { LIVE, type Tables } from "./tables.ts";

const FOUND_MAX = 3;

const endOf = ({ revokedAt, expiresAt }: KeyRow): number => Math.min(revokedAt ?? Infinity, expiresAt ?? Infinity);

type Rows = Pick<
  Store,
  | ("keysOf" | "keysRevokedSince" | "useChallenge" | "accountsOf" | "listedServers" | "waitingOrders")
  | ("leasesOf" | "sidesOf" | "heldBy" | "leasesServerMustKnow" | "findLeases" | "due" | "giveBack")
>;

const turnOf = (kind: DueKind, id: string): string => `${kind} ${id}`;
const isFree = (turn: { by: string; until: number } | undefined, now: number, by: string): boolean =>
  turn === undefined || turn.by === by || turn.until <= now;

const isOlder = ({ issuedAt, id }: LeaseRow, place: LeasePlace): boolean =>
  BigInt(issuedAt) < place.issuedAt || (BigInt(issuedAt) === place.issuedAt && id < place.id);

export const memoryRows = (tables: Tables, archive: ArchiveReader): Rows => ({
  async keysOf(party, at, endedMax) {
    const own = tables.all("key").filter((key) => key.party === party);
    const isOver = (key: KeyRow): boolean => key.revokedAt !== null || endOf(key) <= at;
    const over = own.filter(isOver).sort((a, b) => endOf(b) - endOf(a));
    return [...own.filter((key) => !isOver(key)), ...over.slice(0, endedMax)];
  },
  keysRevokedSince: async (since) => tables.all("key").filter(({ revokedAt }) => revokedAt !== null && revokedAt >= since),
  accountsOf: async (party) => tables.all("account").filter((account) => account.party === party),
  listedServers: async (now) => tables.all("server").filter(({ offer }) => offer !== null && offer.validUntil > now),
  async waitingOrders(limit) {
    const waiting = tables.all("order").flatMap((order) => (order.waiting ? [{ order, since: order.waiting.since }] : []));
    const sorted = waiting.sort((a, b) => a.since - b.since || (a.order.id < b.order.id ? -1 : 1));
    return sorted.slice(0, limit).map(({ order }) => structuredClone(order));
  },
  async leasesOf(reader, live, after, limit) {
    const place = leasePlaceIn(after);
    const rest = tables
      .all("lease")
      .filter((lease) => sees(reader, lease) && (!live || LIVE.has(lease.state)) && isOlder(lease, place))
      .sort((a, b) => b.issuedAt - a.issuedAt || (a.id < b.id ? 1 : -1));
    const page = pageOf(rest, limit, leasePlaceOf);
    const { whole, away } = await wholeFrom(tables, archive, page.rows);
    return { rows: whole, next: page.next, away };
  },
  async sidesOf(leases) {
    const rows = leases.flatMap((id) => tables.rows.lease.get(id)?.data ?? []);
    return new Map(rows.map(({ id, customer, account, label, owner, serverKey }) => [id, { customer, account, label, owner, serverKey }]));
  },
  async heldBy(reader) {
    const live = tables.all("lease").filter((lease) => sees(reader, lease) && LIVE.has(lease.state));
    return live.reduce((sum, { holdNanos }) => sum + BigInt(holdNanos), 0n);
  },
  async leasesServerMustKnow(server) {
    const ofServer = tables.all("lease").filter((lease) => lease.server === server);
    return ofServer.filter(({ state, trace }) => LIVE.has(state) || (state === "disputed" && trace?.document === null));
  },
  async findLeases(reader, idPrefix) {
    const found = tables.all("lease").filter((lease) => sees(reader, lease) && lease.id.startsWith(idPrefix));
    return found.slice(0, FOUND_MAX).map(({ id }) => id);
  },
  async due(kind, now, limit, by) {
    const rows = tables.all(kind).map(({ id, deadlineAt }) => ({ id, at: deadlineAt ?? Infinity }));
    const taken = rows
      .filter(({ id, at }) => at <= now && isFree(tables.turns.get(turnOf(kind, id)), now, by))
      .sort((a, b) => a.at - b.at)
      .slice(0, limit)
      .map(({ id }) => id);
    for (const id of taken) tables.turns.set(turnOf(kind, id), { by, until: now + TURN_MS });
    return taken;
  },
  async giveBack(kind, ids, by) {
    for (const turn of ids.map((id) => turnOf(kind, id))) if (tables.turns.get(turn)?.by === by) tables.turns.delete(turn);
  },
  async useChallenge(challenge, until, now) {
    for (const [used, over] of tables.usedChallenges) if (over <= now) tables.usedChallenges.delete(used);
    if (tables.usedChallenges.has(challenge)) return false;
    tables.usedChallenges.set(challenge, until);
    return true;
  },
});
