/**
 * The Store in memory: the deterministic twin used by the simulation. It passes the same contract suite as Postgres (store/contract.ts).
 */
import { LIVE_STATES, Ledger, invariant } from "@xenoservers/market";
import type { Json } from "@xenoservers/protocol";
import type {
  Change,
  CommitResult,
  Entities,
  EntityKind,
  KeyRow,
  LogAppend,
  LogHead,
  SealedRow,
  Store,
  StoredDocument,
  StoredEvent,
  Versioned,
} from "./store.ts";
import { isBound, sees, type Reader } from "./reader.ts";

const LIVE: ReadonlySet<string> = new Set(LIVE_STATES);

function there<T>(value: T | undefined, what: string): T {
  invariant(value !== undefined, `${what} is missing`);
  return value;
}

const endOf = ({ revokedAt, expiresAt }: KeyRow): number => Math.min(revokedAt ?? Infinity, expiresAt ?? Infinity);

export function createMemoryStore(clock: () => number): Store {
  const ledger = new Ledger();
  const entities = new Map<string, Versioned<Entities[EntityKind]>>();
  const answers = new Map<string, Json>();
  const uniques = new Set<string>();
  const transfers: { id: string; debit: string; credit: string; amount: bigint; at: number }[] = [];
  const documents = new Map<string, StoredDocument>();
  const events: StoredEvent[] = [];
  const sealed = new Map<string, SealedRow>();
  let pending: StoredDocument[] = [];
  let log: { hash: string; documentId: string }[] = [];
  let nodes = new Map<string, string>();
  let leafIndex = new Map<string, number>();
  let lastBeat: number | null = null;
  let head: LogHead | null = null;

  const rowKey = (kind: EntityKind, id: string): string => `${kind} ${id}`;
  function* rowsOf<K extends EntityKind>(kind: K): Generator<Entities[K]> {
    for (const [key, row] of entities) if (key.startsWith(`${kind} `)) yield row.data as Entities[K];
  }

  function mayHear(reader: Reader, { lease }: StoredEvent): boolean {
    if (!isBound(reader)) return true;
    for (const row of lease === null ? [] : rowsOf("lease")) if (row.id === lease) return sees(reader, row);
    return false;
  }

  function apply(change: Change): CommitResult {
    const earlier = answers.get(change.id);
    if (earlier !== undefined) return { status: "replayed", answer: earlier };
    for (const put of change.puts) {
      const version = entities.get(rowKey(put.kind, put.id))?.version ?? 0;
      if (version !== put.expect) return { status: "conflict", what: rowKey(put.kind, put.id) };
    }
    const taken = change.uniques.find((key) => uniques.has(key));
    if (taken !== undefined) return { status: "id_reused", what: taken };
    const refusal = ledger.apply(change.floors, change.transfers);
    if (refusal) return { status: "below_floor", key: refusal.key, missing: refusal.missing };
    const at = clock();
    answers.set(change.id, change.answer);
    for (const put of change.puts) entities.set(rowKey(put.kind, put.id), { version: put.expect + 1, data: structuredClone(put.data) });
    for (const key of change.uniques) uniques.add(key);
    for (const transfer of change.transfers) transfers.push({ ...transfer, at });
    for (const document of change.documents) {
      documents.set(document.id, document);
      pending.push(document);
    }
    for (const event of change.events) events.push({ ...event, cursor: String(events.length + 1) });
    return { status: "applied", answer: change.answer };
  }

  return {
    now: async () => clock(),
    async beat(at) {
      const before = lastBeat;
      lastBeat = Math.max(at, before ?? at);
      return before;
    },
    async load(kind, ids) {
      const found = new Map();
      for (const id of ids) {
        const row = entities.get(rowKey(kind, id));
        if (row) found.set(id, structuredClone(row));
      }
      return found;
    },
    commit: async (changes) => changes.map(apply),
    answerTo: async (id) => answers.get(id) ?? null,
    async balances(prefixes) {
      return new Map(
        [...ledger.balances].filter(([key]) => prefixes.some((prefix) => key.startsWith(prefix))).map(([key, row]) => [key, row.amount]),
      );
    },
    async statement(account, limit) {
      return transfers
        .filter(({ debit, credit }) => debit.startsWith(`${account}/`) || credit.startsWith(`${account}/`))
        .slice(-limit)
        .reverse();
    },
    async keysOf(party, at, endedMax) {
      const own = [...rowsOf("key")].filter((key) => key.party === party);
      const over = own.filter((key) => endOf(key) <= at).sort((a, b) => endOf(b) - endOf(a));
      return [...own.filter((key) => endOf(key) > at), ...over.slice(0, endedMax)];
    },
    keysRevokedSince: async (since) => [...rowsOf("key")].filter(({ revokedAt }) => revokedAt !== null && revokedAt >= since),
    accountsOf: async (party) => [...rowsOf("account")].filter((account) => account.party === party),
    servers: async () => [...rowsOf("server")],
    async leasesOf(reader, live, limit) {
      return [...rowsOf("lease")]
        .filter((lease) => sees(reader, lease) && (!live || LIVE.has(lease.state)))
        .sort((a, b) => b.issuedAt - a.issuedAt)
        .slice(0, limit);
    },
    leasesServerMustKnow: async (server) =>
      [...rowsOf("lease")].filter(
        (lease) => lease.server === server && (LIVE.has(lease.state) || (lease.state === "disputed" && lease.trace?.document === null)),
      ),
    async findLeases(reader, idPrefix) {
      return [...rowsOf("lease")]
        .filter((lease) => sees(reader, lease) && lease.id.startsWith(idPrefix))
        .slice(0, 3)
        .map((lease) => lease.id);
    },
    async due(kind, now, limit) {
      return [...rowsOf(kind)]
        .filter((row) => row.deadlineAt !== null && row.deadlineAt <= now)
        .sort((a, b) => (a.deadlineAt ?? 0) - (b.deadlineAt ?? 0))
        .slice(0, limit)
        .map((row) => row.id);
    },
    document: async (id) => documents.get(id) ?? null,
    documentsOf: async (lease) => [...documents.values()].filter((document) => document.lease === lease),
    documentsOfKind: async (kind) => [...documents.values()].filter((document) => document.kind === kind),
    async events(reader, after, limit) {
      const from = Number(after ?? 0);
      return events
        .filter((event) => event.party === reader.party && Number(event.cursor) > from && mayHear(reader, event))
        .slice(0, limit);
    },
    async putSealed(row, bytesMax) {
      const known = sealed.get(row.lease);
      if (known) return known.digest;
      const kept = [...sealed.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
      if (kept + row.bytes.length > bytesMax) return null;
      sealed.set(row.lease, { ...row, bytes: Uint8Array.from(row.bytes) });
      return row.digest;
    },
    getSealed: async (lease) => sealed.get(lease) ?? null,
    sealedDigest: async (lease) => sealed.get(lease)?.digest ?? null,
    async dropSealed(before) {
      const over = [...sealed.values()].filter(({ until }) => until <= before);
      for (const { lease } of over) sealed.delete(lease);
      return over.length;
    },
    logHead: async () => head,
    logPending: async (limit) => pending.slice(0, limit),
    async logAppend(append: LogAppend) {
      if (!head || head.epoch !== append.epoch || head.size !== append.oldSize) return false;
      for (const { hash, documentId } of append.leaves) {
        leafIndex.set(hash, log.length);
        log.push({ hash, documentId });
      }
      for (const { level, index, hash } of append.nodes) nodes.set(`${level}/${index}`, hash);
      const appended = new Set(append.leaves.map((leaf) => leaf.documentId));
      pending = pending.filter((document) => !appended.has(document.id));
      head = append.head;
      return true;
    },
    logNodes: async (refs) => refs.map(({ level, index }) => there(nodes.get(`${level}/${index}`), "a node of the log")),
    logIndexOf: async (leaf) => leafIndex.get(leaf) ?? null,
    logEntries: async (from, to) => log.slice(from, to).map(({ documentId }) => there(documents.get(documentId), "a document of the log")),
    async logStartEpoch(next) {
      head = next;
      pending = [...documents.values()];
      log = [];
      nodes = new Map();
      leafIndex = new Map();
    },
    async audit() {
      const sums = new Map<string, bigint>();
      for (const { debit, credit, amount } of transfers) {
        sums.set(debit, (sums.get(debit) ?? 0n) - amount);
        sums.set(credit, (sums.get(credit) ?? 0n) + amount);
      }
      let liveHolds = 0n;
      for (const lease of rowsOf("lease")) if (LIVE.has(lease.state)) liveHolds += BigInt(lease.holdNanos);
      const balances = new Map([...ledger.balances].map(([key, row]) => [key, row.amount]));
      const held = [...balances].filter(([key]) => key.endsWith("/held")).reduce((sum, [, amount]) => sum + amount, 0n);
      return { balances, sums, liveHolds, held };
    },
    close: async () => {},
  };
}
