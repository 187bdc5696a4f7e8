/**
 * What the market asks of its database costs what is shown, not what ever happened: over full tables no call reads them from end to end, and
 * none reads more rows than a small multiple of what it gives. Counted by the database itself, so that no clock is in it.
 */
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases } from "../../../../test/database.ts";
import { cases } from "../../../../test/thorough.ts";
import { change, document, reader } from "./contract.fixture.ts";
import { BIG, NOW, RARE_LABEL, fillHistory } from "./history.fixture.ts";
import { openPool } from "./pool.ts";
import { NO_ARCHIVE, type ArchiveReader } from "./archived.ts";
import { createPostgresStore } from "./postgres.ts";
import type { Store } from "./store.ts";

/** Tables that only grow, and those that grow with parties and servers. */
const BIG_TABLES = [
  "entity",
  "balance",
  "transfer",
  "applied",
  "reference",
  "document",
  "event",
  "log_leaf",
  "log_node",
  "proved_sum",
  "archived",
];
const SIZE = { leases: cases(20_000, 100_000), documents: cases(20_000, 1_000_000), servers: cases(200, 3_000) };
/** Rows that a call may read besides those that it is allowed to, for what it looks up on its way. */
const ROWS_FREE = 200;

/** Where rows of any lease lie. */
const archive: ArchiveReader = {
  read: NO_ARCHIVE.read,
  readRows: async (places) => ({ rows: new Map(places.map(({ lease: id }) => [id, { id, issuedAt: 1 }])), problem: null }),
};
let pool: Pool;
let store: Store;
beforeAll(async () => {
  const admin = await createTestDatabase();
  // one connection, so that its own counts are all
  pool = openPool({ ...admin.options, max: 1 });
  store = createPostgresStore(pool, archive);
  await fillHistory(admin, SIZE);
});
afterAll(async () => {
  await pool.end();
  await dropTestDatabases();
});

interface Reads {
  scanned: number;
  fetched: number;
}

async function reads(): Promise<Map<string, Reads>> {
  await pool.query("select pg_stat_force_next_flush()");
  await pool.query("select pg_stat_clear_snapshot()");
  const { rows } = await pool.query<{ name: string; scanned: string; fetched: string }>(
    `select relname as name, seq_tup_read as scanned, coalesce(idx_tup_fetch, 0) + coalesce(
       (select sum(idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0) as fetched
       from pg_stat_user_tables t where relname = any($1)`,
    [BIG_TABLES],
  );
  return new Map(rows.map(({ name, scanned, fetched }) => [name, { scanned: Number(scanned), fetched: Number(fetched) }]));
}

type Call = (store: Store) => Promise<unknown>;
/** A place in the middle of all lists of leases. */
const MIDDLE = `${SIZE.leases / 2}.00000001ee`;
/** One in the middle of those whose rows lie in the archive. */
const AWAY = `${SIZE.leases / 8}.00000001ee`;
const bound = { account: BIG.account };
const moves = (id: string): Parameters<Store["commit"]>[0] => [
  change({
    id,
    uniques: [`unique-${id}`],
    puts: [{ kind: "setting", id: `s-${id}`, expect: 0, data: { id: `s-${id}`, value: 1 } }],
    floors: [{ key: "source/x", floor: null }],
    transfers: [{ id: `t-${id}`, debit: "source/x", credit: `${BIG.account}/available`, amount: 1n, short: null }],
    documents: [
      {
        id: `d-${id}`,
        kind: "stop",
        lease: null,
        parties: [],
        envelope: { payloadType: "t", payload: "", signatures: [{ keyid: "0", sig: "" }] },
        at: 5,
        salt: "s",
        leaf: `l-${id}`,
      },
    ],
    events: [{ party: BIG.customer, kind: "k", lease: null, data: {}, at: 5 }],
  }),
];
const sealedRow = { lease: "l", part: 0, owner: "p", bytes: Uint8Array.of(1), digest: "d", at: 1, until: 2 };

/** Every method of the store: how it is called, and how many rows it may read for it. */
const CALLS: Record<Exclude<keyof Store, "audit" | "close" | "logStartEpoch">, [rows: number, ...Call[]]> = {
  now: [0, (s) => s.now()],
  beat: [0, (s) => s.beat(5)],
  heardAt: [0, (s) => s.heardAt()],
  load: [0, (s) => s.load("lease", ["00000001ee", "00000002ee"])],
  commit: [
    0,
    (s) => s.commit(moves("c1")),
    (s) => s.commit(moves("c1")),
    (s) => s.commit([change({ id: "again", documents: [document("00000007dd")] }), ...moves("c2")]),
  ],
  answerTo: [0, (s) => s.answerTo("seeded7")],
  balances: [0, (s) => s.balances(["a_77/", "a_78/available", "nothing/"])],
  statement: [
    100,
    (s) => s.statement(BIG.account, null, 50),
    (s) => s.statement(BIG.account, "5000", 50),
    (s) => s.statement("a_5", null, 50),
  ],
  keysOf: [0, (s) => s.keysOf("p_3", NOW, 10)],
  keysRevokedSince: [0, (s) => s.keysRevokedSince(SIZE.leases - 20)],
  accountsOf: [0, (s) => s.accountsOf(BIG.customer)],
  waitingOrders: [0, (s) => s.waitingOrders(50)],
  listedServers: [SIZE.servers, (s) => s.listedServers(NOW)],
  leasesOf: [
    200,
    (s) => s.leasesOf(reader(BIG.customer), false, null, 50),
    (s) => s.leasesOf(reader(BIG.customer), true, null, 50),
    (s) => s.leasesOf(reader(BIG.owner), false, null, 50),
    (s) => s.leasesOf(reader(BIG.owner), true, null, 50),
    (s) => s.leasesOf(reader(BIG.customer, bound), false, null, 50),
    (s) => s.leasesOf(reader(BIG.customer, bound), true, null, 50),
    (s) => s.leasesOf(reader(BIG.customer, { label: RARE_LABEL }), false, null, 50),
    (s) => s.leasesOf(reader(BIG.customer, { label: RARE_LABEL }), true, null, 50),
    (s) => s.leasesOf(reader(BIG.owner, { serverKey: BIG.serverKey }), false, null, 50),
    (s) => s.leasesOf(reader(BIG.owner, { serverKey: BIG.serverKey }), true, null, 50),
    ...[reader(BIG.customer), reader(BIG.owner), reader(BIG.customer, bound), reader(BIG.customer, { label: BIG.label })].map(
      (who) => (s: Store) => s.leasesOf(who, false, MIDDLE, 50),
    ),
    (s) => s.leasesOf(reader(BIG.owner, { serverKey: BIG.serverKey }), false, MIDDLE, 50),
    (s) => s.leasesOf(reader(BIG.customer), true, MIDDLE, 50),
    (s) => s.leasesOf(reader(BIG.customer, bound), false, AWAY, 50),
    (s) => s.leasesOf(reader(BIG.owner), false, AWAY, 50),
  ],
  sidesOf: [0, (s) => s.sidesOf(["00000001ee", "00000002ee", "00000003ee"])],
  heldBy: [0, (s) => s.heldBy(reader(BIG.customer, bound)), (s) => s.heldBy(reader(BIG.owner))],
  leasesServerMustKnow: [0, (s) => s.leasesServerMustKnow(BIG.server)],
  findLeases: [0, (s) => s.findLeases(reader(BIG.customer), "0000000")],
  due: [0, (s) => s.due("lease", NOW, 10, "b"), (s) => s.due("order", NOW, 10, "b")],
  giveBack: [0, (s) => s.giveBack("lease", ["00000001ee"], "b")],
  useChallenge: [0, (s) => s.useChallenge("c", NOW, 1)],
  toArchive: [100, (s) => s.toArchive(NOW, 50), (s) => s.toArchive(5, 50)],
  archive: [0, (s) => s.archive("00004e1fee", { file: "f", start: 0, bytes: 1, digest: "d" }, ["0000c357dd"])],
  isArchived: [0, (s) => s.isArchived()],
  rowsToArchive: [100, (s) => s.rowsToArchive(50)],
  archiveRows: [
    200,
    async (s) => {
      const places = (await s.rowsToArchive(50)).map(({ lease }) => ({
        lease,
        version: 1,
        file: "r",
        start: 0,
        bytes: 1,
        digest: "0".repeat(32),
      }));
      expect(await s.archiveRows(places)).toBe(50);
    },
  ],
  document: [0, (s) => s.document("00000007dd")],
  documentsOf: [0, (s) => s.documentsOf("00000007ee")],
  documentsAfter: [0, (s) => s.documentsAfter("00000007ee", null, 50), (s) => s.documentsAfter("00000007ee", "00000007dd", 50)],
  lastDocumentOf: [1, (s) => s.lastDocumentOf("00000007ee")],
  documentsOfKind: [0, ...(["referee", "witness", "market-keys", "epoch"] as const).map((kind) => (s: Store) => s.documentsOfKind(kind))],
  events: [
    0,
    (s) => s.events(reader(BIG.customer), null, 50),
    (s) => s.events(reader(BIG.customer), "0.1.15000", 50),
    (s) => s.events(reader(BIG.customer, bound), null, 50),
  ],
  eventsOfAll: [
    100,
    (s) => s.eventsOfAll("0.0.0", 50),
    async (s) => s.eventsOfAll(await s.eventsEnd(), 50),
    async (s) => s.eventsOfAll("0.1.15000", 50),
  ],
  dropEvents: [100, (s) => s.dropEvents(10_000, 50), (s) => s.dropEvents(NOW, 50), (s) => s.dropEvents(0, 50)],
  dropAnswers: [100, (s) => s.dropAnswers(0, 50), async (s) => s.dropAnswers((await s.now()) + 1_000, 50)],
  eventsEnd: [0, (s) => s.eventsEnd()],
  putSealed: [0, (s) => s.putSealed(sealedRow, 100)],
  getSealed: [0, (s) => s.getSealed("l", 0)],
  sealedDigests: [0, (s) => s.sealedDigests("l")],
  dropSealed: [0, (s) => s.dropSealed(5)],
  logHead: [0, (s) => s.logHead()],
  logPending: [0, (s) => s.logPending(10)],
  logAppend: [
    0,
    (s) =>
      s.logAppend({
        epoch: 0,
        oldSize: SIZE.documents,
        leaves: [{ documentId: "d-c1", hash: "l-c1" }],
        nodes: [{ level: 0, index: SIZE.documents, hash: "n" }],
        head: { epoch: 0, id: "0".repeat(32), size: SIZE.documents + 1, root: "r", checkpoint: "c" },
      }),
  ],
  logNodes: [0, (s) => s.logNodes([{ level: 0, index: 5 }])],
  logHeads: [0, (s) => s.logHeads()],
  logIndexesOf: [0, (s) => s.logIndexesOf(["leaf7", "leaf8"])],
  logEntries: [200, (s) => s.logEntries(100, 150)],
  figures: [0, (s) => s.figures(NOW)],
  proveBooks: [0, (s) => s.proveBooks(), (s) => s.proveBooks()],
};

// what the planner believes of a table is drawn by chance from some of its rows: 300 for each step of the target
describe.each([100, ...Array.from({ length: cases(2, 20) }, () => 1)])("with statistics to a target of %i", (target) => {
  beforeAll(async () => {
    await pool.query(`set default_statistics_target = ${target}`);
    await pool.query("analyze");
  });

  it.each(Object.entries(CALLS))("%s reads what it gives, whatever lies in the tables", async (_name, [rows, ...calls]) => {
    for (const [i, call] of calls.entries()) {
      const before = await reads();
      await call(store);
      for (const [table, after] of await reads()) {
        const { scanned, fetched } = before.get(table)!;
        expect(after.scanned - scanned, `rows of ${table} read one after the other by call ${i}`).toBe(0);
        expect(after.fetched - fetched, `rows of ${table} read by call ${i}`).toBeLessThanOrEqual(ROWS_FREE + 2 * rows);
      }
    }
  });
});

it("notices where a table is read from end to end", async () => {
  const before = await reads();
  await store.audit();
  expect((await reads()).get("transfer")!.scanned - before.get("transfer")!.scanned).toBeGreaterThanOrEqual(SIZE.leases);
});
