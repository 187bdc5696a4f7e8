import { createHash } from "node:crypto";
import { Pool } from "pg";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import { until } from "../../../../test/until.ts";
import { migrate } from "../migrations/migrate.ts";
import { MIGRATIONS } from "../migrations/migrations.ts";
import type { ArchiveReader } from "./archived.ts";
import { storeContract } from "./contract.ts";
import { change, reader } from "./contract.fixture.ts";
import { figuresContract } from "./figures.contract.ts";
import { Hosts, clientOf } from "./hosts.ts";
import { openPool } from "./pool.ts";
import { createPostgresStore } from "./postgres.ts";
import type { StoredEvent } from "./store.ts";

afterAll(dropTestDatabases);
afterEach(leaveTestDatabases);
const open = async (archive?: ArchiveReader) => createPostgresStore(await createTestDatabase(), archive);
storeContract("postgres", open);
figuresContract("postgres", open);

describe("connections", () => {
  it("survives the loss of a connection that is checked out, idle or closing", async () => {
    const pool = await createTestDatabase();
    const [inUse, idle] = [await pool.connect(), await pool.connect()];
    const pid = async (client: typeof idle) => (await client.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]!.pid;
    const pids = [await pid(inUse), await pid(idle)];
    idle.release();
    const lost = Promise.all([inUse, idle].map((client) => new Promise((resolve) => client.once("end", resolve))));
    await (await createTestDatabase()).query("select pg_terminate_backend(p) from unnest($1::int[]) as p", [pids]);
    await lost;
    await expect(inUse.query("select 1")).rejects.toThrow();
    inUse.release(true);
    expect((await pool.query<{ n: number }>("select 1 as n")).rows[0]!.n).toBe(1);
  });
});

describe("a commit whose connection is lost", () => {
  it("is asked again until it is answered, and done once", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const query = pool.query.bind(pool);
    let lost = 0;
    const losing = async (...args: unknown[]): Promise<unknown> => {
      const done = await Reflect.apply(query, pool, args);
      if (++lost < 3) throw new Error("Connection terminated unexpectedly");
      return done;
    };
    Object.assign(pool, { query: losing });
    const once = change({
      id: "once",
      floors: [{ key: "source/x", floor: null }],
      transfers: [{ id: "t", debit: "source/x", credit: "s/vcpu", amount: 5n, short: null }],
    });
    expect(await store.commit([once])).toEqual([{ status: "replayed", answer: { id: "once" } }]);
    expect(lost).toBe(3);
    expect((await store.balances(["s/"])).get("s/vcpu")).toBe(5n);
  });

  it("is done once where its database ends it in its middle", async () => {
    const [pool, admin] = [await createTestDatabase(), await createTestDatabase()];
    const store = createPostgresStore(pool);
    const holder = await pool.connect();
    await holder.query("begin; lock table applied in access exclusive mode");
    const committed = store.commit([change({ id: "cut" })]);
    const name = (await holder.query<{ name: string }>("select current_database() as name")).rows[0]!.name;
    const ends = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'";
    await until(async () => ((await admin.query(ends, [name])).rowCount ?? 0) > 0);
    await holder.query("commit");
    holder.release();
    expect(await committed).toEqual([{ status: "applied", answer: { id: "cut" } }]);
    expect(await store.commit([change({ id: "cut" })])).toEqual([{ status: "replayed", answer: { id: "cut" } }]);
  });

  it("is given up where the database refuses it", async () => {
    const store = createPostgresStore(await createTestDatabase());
    expect(await store.commit([change({ id: "u", uniques: ["twice", "twice"] })])).toEqual([
      { status: "refused", what: expect.stringMatching(/^23505: .*unique/) },
    ]);
  });

  it("tells the other brokers of what was done, where one of a batch cannot be held", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const told = (server: string) => ({ id: "n", by: "b", notes: [{ about: "listing" as const, server }] });
    const batch = ["s1", "s2", "bad", "s3"].map((id) => change({ id, uniques: id === "bad" ? ["u", "u"] : [], told: told(id) }));
    expect((await store.commit(batch)).map(({ status }) => status)).toEqual(["applied", "applied", "refused", "applied"]);
    const { rows } = await pool.query<{ id: string; notes: { server: string }[] }>("select id, notes from note order by xid, seq");
    expect(rows.every(({ id }) => id === "n")).toBe(true);
    expect(rows.flatMap(({ notes }) => notes.map(({ server }) => server))).toEqual(["s1", "s2", "s3"]);
  });
});

it("is connected to the host that takes writes, whichever that is now", async () => {
  const admin = await createTestDatabase();
  const { host, user } = admin.options;
  const nameOf = async (pool: Pool): Promise<string> => String((await pool.query("select current_database() as name")).rows[0]?.name);
  const [one, other] = [await nameOf(await createTestDatabase()), await nameOf(await createTestDatabase())];
  const address = (name: string): string => `postgres://${user}@/${name}?host=${encodeURIComponent(String(host))}`;
  // in place of two hosts: two databases, one of which takes no writes
  class Databases extends Hosts {
    #asked = one;
    override get current(): string {
      return address(this.#asked);
    }
    override failed(asked: string): void {
      if (asked === this.current) this.#asked = this.#asked === one ? other : one;
    }
  }
  const readOnly = (name: string, so: "on" | "off") => admin.query(`alter database ${name} set default_transaction_read_only = ${so}`);
  const pool = new Pool({ Client: clientOf(new Databases("")), max: 2 });
  pool.on("error", () => {});
  await readOnly(one, "on");
  await expect(nameOf(pool)).rejects.toThrow("takes no writes");
  expect(await nameOf(pool)).toBe(other);
  await readOnly(one, "off");
  await readOnly(other, "on");
  await admin.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [other]);
  await until(() =>
    nameOf(pool).then(
      (name) => name === one,
      () => false,
    ),
  );
  await pool.end();
});

it("keeps each name that counts once in less than a hundred bytes, and knows it again", async () => {
  const pool = await createTestDatabase();
  const store = createPostgresStore(pool);
  const names = Array.from({ length: 5_000 }, (_, i) => `p_${"a".repeat(40)}/${String(i).padStart(32, "0")}`);
  expect((await store.commit([change({ id: "many", uniques: names })])).map(({ status }) => status)).toEqual(["applied"]);
  const { rows } = await pool.query<{ bytes: string }>("select pg_total_relation_size('reference') as bytes");
  expect(Number(rows[0]?.bytes) / names.length).toBeLessThan(100);
  const again = await store.commit([change({ id: "again", uniques: ["new", names[4_999] ?? ""] })]);
  expect(again).toEqual([{ status: "id_reused", what: names[4_999] }]);
});

it("knows the names again that an earlier version kept", async () => {
  const { options } = await createTestDatabase();
  const pool = openPool({ ...options, options: "-c search_path=earlier", max: 2 });
  await pool.query("create schema earlier");
  await pool.query("create table migration (name text primary key, at timestamptz not null default now(), digest text)");
  for (const { name, sql } of MIGRATIONS.slice(
    0,
    MIGRATIONS.findIndex((each) => each.name === "012-references"),
  )) {
    await pool.query(sql);
    await pool.query("insert into migration (name, digest) values ($1, $2)", [name, createHash("sha256").update(sql).digest("hex")]);
  }
  await pool.query("insert into unique_key (key, change_id) values ('p_1/01', 'c'), ('ä/02', 'c')");
  expect(await migrate(pool)).toEqual(expect.arrayContaining(["012-references"]));
  const uses = ["p_1/01", "ä/02", "p_1/03"].map((name) => change({ id: name, uniques: [name] }));
  expect((await createPostgresStore(pool).commit(uses)).map(({ status }) => status)).toEqual(["id_reused", "id_reused", "applied"]);
  await pool.end();
});

describe("a database of another snapshot", () => {
  it.each([
    ["update migration set digest = repeat('00', 32) where name = '002-commit'", /another snapshot .*002-commit/],
    ["alter table migration drop column digest", /another snapshot .*001-market/],
    ["insert into migration (name) values ('999-later')", /newer xeno .*999-later/],
  ])("is refused in words: %s", async (sql, why) => {
    const pool = await createTestDatabase();
    expect(await migrate(pool)).toEqual([]);
    await pool.query(sql);
    await expect(migrate(pool)).rejects.toThrow(why);
    // the lock is free again
    await expect(migrate(pool)).rejects.toThrow(why);
  });
});

describe("races on Postgres", () => {
  it("lets exactly one of two brokers take the last slot, and never overdraws", async () => {
    const pool = await createTestDatabase();
    const a = createPostgresStore(pool);
    await a.commit([
      change({
        id: "fund",
        floors: [{ key: "source/x", floor: null }],
        transfers: [{ id: "f", debit: "source/x", credit: "s/vcpu", amount: 10n, short: null }],
      }),
    ]);
    const tries = Array.from({ length: 40 }, (_, i) =>
      a.commit([
        change({
          id: `take${i}`,
          transfers: [{ id: `take${i}`, debit: "s/vcpu", credit: `l${i % 3}/vcpu/leased`, amount: 1n, short: null }],
        }),
      ]),
    );
    const results = (await Promise.all(tries)).flat().map((r) => r.status);
    expect(results.filter((s) => s === "applied")).toHaveLength(10);
    expect((await a.balances(["s/"])).get("s/vcpu")).toBe(0n);
  });

  it("finds a balance that is not what its transfers sum to, again and again, and goes on from where it was right", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const give = (id: string, amount: bigint) =>
      change({
        id,
        floors: [{ key: "source/x", floor: null }],
        transfers: [{ id, debit: "source/x", credit: "a/available", amount, short: null }],
      });
    await store.commit([give("one", 5n)]);
    expect((await store.proveBooks()).wrong).toEqual([]);
    await store.commit([give("two", 7n)]);
    await pool.query("update balance set amount = amount + 1 where key = 'a/available'");
    for (let round = 0; round < 2; round++)
      expect(await store.proveBooks()).toMatchObject({ wrong: [{ key: "a/available", balance: 13n, sum: 12n }], transfers: 1 });
    await pool.query("update balance set amount = amount - 1 where key = 'a/available'");
    expect(await store.proveBooks()).toMatchObject({ wrong: [], transfers: 1 });
    expect(await store.proveBooks()).toMatchObject({ wrong: [], transfers: 0 });
  });

  it("proves while others commit, and counts each transfer as proved once", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const open = await pool.connect();
    const insert = "insert into transfer (id, debit, credit, amount) values ($1, 'source/x', 'b/available', 3)";
    await open.query("begin");
    await open.query(insert, ["slow"]);
    await open.query("insert into balance (key, amount) values ('b/available', 3), ('source/x', -3)");
    // an open transaction: what it moved is not there yet, and nothing after it is settled
    expect(await store.proveBooks()).toMatchObject({ wrong: [], transfers: 0 });
    await open.query("commit");
    open.release();
    const proofs = Promise.all(Array.from({ length: 5 }, () => store.proveBooks()));
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        store.commit([
          change({
            id: `m${i}`,
            floors: [{ key: "source/x", floor: null }],
            transfers: [{ id: `m${i}`, debit: "source/x", credit: `m${i % 3}/available`, amount: 1n, short: null }],
          }),
        ]),
      ),
    );
    for (const { wrong } of await proofs) expect(wrong).toEqual([]);
    expect((await store.proveBooks()).wrong).toEqual([]);
    expect((await store.proveBooks()).transfers).toBe(0);
  });

  it("gives the events of all parties to whoever reads at another broker", async () => {
    const pool = await createTestDatabase();
    const other = openPool({ ...pool.options, max: 2 });
    const [here, there] = [createPostgresStore(pool), createPostgresStore(other)];
    const from = await there.eventsEnd();
    const event = (party: string) => ({ party, kind: `of ${party}`, lease: null, data: {}, at: 1 });
    await here.commit([change({ id: "e", events: [event("p_1"), event("p_2")] })]);
    const events = await there.eventsOfAll(from, 10);
    expect(events.map(({ kind }) => kind)).toEqual(["of p_1", "of p_2"]);
    expect(await there.eventsOfAll(events[0]!.cursor, 10)).toHaveLength(1);
    expect(await there.eventsOfAll(events[1]!.cursor, 10)).toEqual([]);
    await other.end();
  });

  it("shows each committed event once however commits interleave", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const seen: string[] = [];
    let cursor: string | null = null;
    let writing = true;
    const reading = (async () => {
      while (writing || seen.length < 60) {
        for (const event of (await store.events(reader("p"), cursor, 7)) ?? []) {
          seen.push(event.kind);
          cursor = event.cursor;
        }
      }
    })();
    await Promise.all(
      Array.from({ length: 60 }, (_, i) =>
        store.commit([change({ id: `e${i}`, events: [{ party: "p", kind: `k${i}`, lease: null, data: {}, at: i }] })]),
      ),
    );
    writing = false;
    await reading;
    expect(new Set(seen).size).toBe(60);
    expect(seen).toHaveLength(60);
  });

  it("shows events in the order of their transactions' numbers, whatever their length, each once", async () => {
    const pool = await createTestDatabase();
    const store = createPostgresStore(pool);
    const numbers = [9, 10, 99, 100, 999, 1_000, 9_999, 10_000];
    // what has no transaction yet is shown by no database
    await pool.query("do $$ begin while pg_current_xact_id() <= '10000'::xid8 loop commit; end loop; end $$");
    for (const xid of numbers)
      await pool.query("insert into event (xid, party, kind, lease, data, at) values ($1::text::xid8, 'p', $1, null, '{}', 1)", [
        String(xid),
      ]);
    const seen: string[] = [];
    for (let cursor: string | null = null; ;) {
      const [event]: StoredEvent[] = (await store.events(reader("p"), cursor, 1)) ?? [];
      if (!event || seen.length > numbers.length) break;
      seen.push(event.kind);
      cursor = event.cursor;
    }
    expect(seen).toEqual(numbers.map(String));
    expect((await store.events(reader("p"), null, 9))?.map(({ kind }) => kind)).toEqual(numbers.map(String));
    // the same where the oldest of them are dropped
    expect(await store.dropEvents(2, 5)).toBe(5);
    expect((await store.events(reader("p"), null, 9))?.map(({ kind }) => kind)).toEqual(["1000", "9999", "10000"]);
    const [of] = (await store.eventsEnd()).split(".");
    expect(await store.events(reader("p"), `${of}.100.999999`, 9)).toBeNull();
    expect(await store.events(reader("p"), `${of}.999.999999`, 9)).toHaveLength(3);
  });
});
