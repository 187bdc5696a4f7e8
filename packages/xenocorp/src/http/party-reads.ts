/**
 * What a party's key may read: who it is, its money, its leases, its events. Every handler shows what the key's account and label allow,
 * and a server's key only what the server itself runs; what is outside looks as if it were not there. Who controls the inputs: the holder
 * of the session.
 */
import { allowanceKey, moneyKey } from "@xenoservers/market";
import { parseDocumentOf, refusalBody, refuse, rootAccountOf, type Balances, type Refusal } from "@xenoservers/protocol";
import { dayKeyOf } from "../desk/accounts.ts";
import { leaseView } from "../desk/lease-view.ts";
import type { Services } from "../desk/round.ts";
import { standingsOf } from "../desk/server-standing.ts";
import { isBound, isCustomer, sees, type LeaseSides } from "../store/reader.ts";
import type { AccountRow, KeyRow, LeaseRow, OrderRow } from "../store/store.ts";
import { done, type Handled, type Handlers, type Request } from "./handlers.ts";
import type { Receipts } from "./receipts.ts";
import { readerOf, type PartySession } from "./sessions.ts";

const ENDED_KEYS_SHOWN_MAX = 100;
const ID_CHARS = 64;

type PartyReads = Pick<
  Handlers,
  "whoami" | "servers" | "accounts" | "statement" | "leases" | "lease" | "receipt" | "leaseLog" | "order" | "events" | "sealed"
>;

/** Of an order that was bound to no lease: whoever ordered sees it. */
async function unboundSides({ store, crypto }: Services, { id }: OrderRow): Promise<LeaseSides | undefined> {
  const document = await store.document(id);
  const parsed = document && parseDocumentOf(crypto, "order", document.envelope);
  if (!parsed?.ok) return undefined;
  const { party, account, label } = parsed.document.payload;
  return { customer: party, account, label, owner: "", serverKey: "" };
}

const keyView = ({ id: key, role, label, scopes, account, leaseLabel, maxSpendPerDayNanos, expiresAt, revokedAt }: KeyRow) => ({
  ...{ key, role, label, scopes: [...scopes], account, leaseLabel, maxSpendPerDayNanos, expiresAt, revokedAt },
});

const balancesOf = (money: (bucket: keyof Balances) => bigint): Balances => ({
  available: money("available").toString(),
  held: money("held").toString(),
  pending: money("pending").toString(),
  staked: money("staked").toString(),
  locked: money("locked").toString(),
});

const least = (amounts: readonly bigint[]): bigint => amounts.reduce((a, b) => (b < a ? b : a));

/** The lease that an id or the beginning of one names, among those that the session may see. */
export async function findLease(
  { store }: Services,
  session: PartySession,
  idOrPrefix: string,
): Promise<{ ok: true; lease: LeaseRow } | Refusal> {
  const reader = readerOf(session);
  const ids = idOrPrefix.length === ID_CHARS ? [idOrPrefix] : await store.findLeases(reader, idOrPrefix);
  if (ids.length > 1) return refuse("conflict", { why: `${idOrPrefix} fits more than one lease; write more of its id` });
  const [id] = ids;
  // who may not see it makes nobody look into the archive
  const sides = id === undefined ? undefined : (await store.sidesOf([id])).get(id);
  if (id === undefined || !sides || !sees(reader, sides)) return refuse("not_found", { lease: idOrPrefix });
  const lease = (await store.load("lease", [id])).get(id)?.data;
  return lease ? { ok: true, lease } : refuse("not_found", { lease: idOrPrefix });
}

/** The accounts that the key may spend from, and the money: all of the party's, or what is within reach of a key that is bound to less. */
async function accountsOf({ store, now }: Services, session: PartySession) {
  const { party, key } = session;
  const reader = readerOf(session);
  const all = await store.accountsOf(party);
  const shown = key.role === "server" ? [] : all.filter(({ id }) => key.account === null || key.account === id);
  const day = dayKeyOf(key, now());
  const books = await store.balances([...all.map(({ id }) => `${id}/`), day]);
  const root = rootAccountOf(party);
  const money = (bucket: keyof Balances): bigint => books.get(moneyKey(root, bucket)) ?? 0n;
  const used = (of: string): bigint => -(books.get(of) ?? 0n);
  const accounts = shown.map(({ id, parent, name, limitNanos }) => ({
    id,
    parent,
    name,
    limitNanos,
    spentNanos: used(allowanceKey(id)).toString(),
  }));
  if (!isBound(reader)) return { balances: balancesOf(money), accounts };
  const limits = limitsAbove(all, key.account).map(({ id, limit }) => limit - used(allowanceKey(id)));
  const today = key.maxSpendPerDayNanos === null ? [] : [BigInt(key.maxSpendPerDayNanos) - used(day)];
  const spendable = shown.length === 0 ? 0n : least([money("available"), ...limits, ...today]);
  const held = key.role === "server" ? 0n : await store.heldBy(reader);
  const within = { available: spendable > 0n ? spendable : 0n, held, pending: 0n, staked: 0n, locked: 0n };
  return { balances: balancesOf((bucket) => within[bucket]), accounts };
}

/** The limited accounts from this one up to the root. */
function limitsAbove(all: readonly AccountRow[], account: string | null): { id: string; limit: bigint }[] {
  const row = all.find(({ id }) => id === account);
  if (!row) return [];
  const own = row.limitNanos === null ? [] : [{ id: row.id, limit: BigInt(row.limitNanos) }];
  return [...own, ...limitsAbove(all, row.parent)];
}

/** Of the lease's log what comes after that document of it. */
async function logAfter(
  { store }: Services,
  receipts: Receipts,
  lease: LeaseRow,
  { after: id, limit }: { after?: string | undefined; limit: number },
) {
  const after = id === undefined ? null : await store.document(id);
  if (id !== undefined && after?.lease !== lease.id) return refuse("not_found", { document: id });
  return done(await receipts.logOf(lease, after, limit));
}

/** All of it, or the part that is asked for. */
async function receiptOf(
  { store }: Services,
  receipts: Receipts,
  lease: LeaseRow,
  { after: id, limit, size, brief }: Request<"receipt">["query"],
): Promise<Handled<"receipt">> {
  if (limit === undefined) {
    const receipt = await receipts.of(lease);
    return receipt ? done(receipt) : refuse("bad_request", { path: "query.limit", why: TOO_LONG });
  }
  const after = id === undefined ? null : await store.document(id);
  if (id !== undefined && after?.lease !== lease.id) return refuse("not_found", { document: id });
  const part = await receipts.partOf(lease, after, { limit, size, brief: brief === "true" });
  return "code" in part ? part : done(part);
}

const TOO_LONG = "the receipt is too long for one answer: ask for it in parts, as `xeno verify LEASE` does";

export function createPartyReads(services: Services, receipts: Receipts): PartyReads {
  const { store } = services;
  return {
    async whoami({ session }) {
      const { party: id, key } = session;
      const party = (await store.load("party", [id])).get(id)?.data;
      if (!party) return refuse("not_found", { party: id });
      const keys = isBound(readerOf(session)) ? [key] : await store.keysOf(id, services.now(), ENDED_KEYS_SHOWN_MAX);
      const { name, account, suspended } = party;
      return done({ party: id, name, account, role: key.role, suspended, keys: keys.map(keyView) });
    },
    async servers({ session }) {
      const { party, serverKey } = readerOf(session);
      // a key that is bound to less than the party sees none of its machines
      const isOwners = serverKey !== null || !isBound(readerOf(session));
      return done({ servers: isOwners ? await standingsOf(services, party, serverKey) : [] });
    },
    async accounts({ session }) {
      return done(await accountsOf(services, session));
    },
    async statement({ session, query }) {
      const { party, key } = session;
      if (isBound(readerOf(session)) && key.account === null)
        return refuse("key_not_allowed", { why: "the statement is of a whole account, and the key sees only a part of it" });
      // a bound key sees what was charged to its account's limit: the wallet is the whole party's
      const { rows, next } = await store.statement(key.account ?? rootAccountOf(party), query.after ?? null, query.limit);
      const own =
        key.account === null ? rows : rows.filter(({ debit, credit }) => [debit, credit].includes(allowanceKey(key.account ?? "")));
      const entries = own.map(({ id, debit, credit, amount, at }) => ({ id, debit, credit, amountNanos: amount.toString(), at }));
      return done({ entries, next });
    },
    async leases({ session, query }) {
      const { rows, away, next } = await store.leasesOf(readerOf(session), query.live === "true", query.after ?? null, query.limit);
      return done({ leases: rows.map(leaseView), away: away.map(({ id, state, issuedAt }) => ({ id, state, issuedAt })), next });
    },
    async lease({ session, params }) {
      const found = await findLease(services, session, params.id);
      return found.ok ? done(leaseView(found.lease)) : found;
    },
    async receipt({ session, params, query }) {
      const found = await findLease(services, session, params.id);
      return found.ok ? receiptOf(services, receipts, found.lease, query) : found;
    },
    async leaseLog({ session, params, query }) {
      const found = await findLease(services, session, params.id);
      return found.ok ? logAfter(services, receipts, found.lease, query) : found;
    },
    async order({ session, params }) {
      const order = (await store.load("order", [params.id])).get(params.id)?.data;
      const sides = order && (order.lease ? (await store.sidesOf([order.lease])).get(order.lease) : await unboundSides(services, order));
      if (!order || !sides || !isCustomer(readerOf(session), sides)) return refuse("not_found", { order: params.id });
      const { id, lease, attempt, waiting, refused } = order;
      const ahead = services.waiting.aheadOf(id) ?? 0;
      return done({
        ...{ id, lease, attempt },
        waiting: waiting ? { ...waiting, ahead } : null,
        refused: refused ? refusalBody({ ok: false, ...refused }).error : null,
      });
    },
    async events({ session, query }) {
      const events = await store.events(readerOf(session), query.after ?? null, query.limit);
      if (events === null) return refuse("cursor_expired");
      return done({ events: events.map(({ cursor, kind, lease, data, at }) => ({ cursor, kind, lease, data, at })) });
    },
    async sealed({ session, params }) {
      const lease = (await store.sidesOf([params.id])).get(params.id);
      const kept = lease && isCustomer(readerOf(session), lease) ? await store.getSealed(params.id, params.part) : null;
      return kept ? done(kept.bytes) : refuse("not_found", { lease: params.id });
    },
  };
}
