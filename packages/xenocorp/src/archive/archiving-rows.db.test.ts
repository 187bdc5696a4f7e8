/** Rows of leases that are long over go to files: cut off at any step nothing is lost or done twice, and what lies there is checked. */
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import type { Pool } from "pg";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import { change, reader } from "../store/contract.fixture.ts";
import { createPostgresStore } from "../store/postgres.ts";
import type { Store } from "../store/store.ts";
import { ArchiveFolder } from "./archive-folder.ts";
import { checkArchive } from "./archive-check.ts";
import { digestOf } from "./archive-files.ts";
import { archiveRows } from "./archiving-rows.ts";

const DAY_MS = 86_400_000;
const IDS = ["a1", "a2", "a3"];
const MINE = reader("p_1");

let folder: string;
let archive: ArchiveFolder;
let pool: Pool;
let store: Store;
beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(tmpdir(), "xeno-rows-")), "archive");
  archive = new ArchiveFolder(folder, "w1");
  pool = await createTestDatabase();
  store = createPostgresStore(pool, archive);
  const row = (id: string, i: number) => ({
    id,
    customer: "p_1",
    state: "final",
    toldAt: i,
    issuedAt: i,
    holdNanos: "0",
    deadlineAt: null,
  });
  const puts = IDS.map((id, i) => ({ kind: "lease" as const, id, expect: 0, data: row(id, i) as never }));
  await store.commit([change({ id: "c", puts })]);
  for (const id of IDS) await store.archive(id, { file: "f", start: 0, bytes: 1, digest: "d" }, []);
});
afterEach(async () => {
  await leaveTestDatabases();
  await rm(path.dirname(folder), { recursive: true, force: true });
});
afterAll(dropTestDatabases);

const run = (over: Partial<Parameters<typeof archiveRows>[0]> = {}) =>
  archiveRows({ store, folder: archive, now: DAY_MS + 5, afterMs: 0, ...over });
const stubs = async (): Promise<number> =>
  Number((await pool.query<{ count: string }>("select count(*) from entity where data ? 'archived'")).rows[0]?.count);
const listed = async () => (await store.leasesOf(MINE, false, null, 9)).rows;
const files = async (): Promise<string[]> => (await readdir(folder).catch(() => [])).toSorted();

it("go together, once the first has waited long enough for others, and are read as before", async () => {
  const before = [await store.load("lease", IDS), await listed()];
  expect([await run({ now: DAY_MS - 1 }), await run({ afterMs: 6 }), await files()]).toEqual([0, 0, []]);
  expect([await run(), await run(), await stubs()]).toEqual([3, 0, 3]);
  expect([await store.load("lease", IDS), await listed()]).toEqual(before);
  const [file = ""] = await files();
  const bytes = await readFile(path.join(folder, file));
  expect(file).toBe(`rows-${digestOf(bytes)}.ndjson.gz`);
  const lines = gunzipSync(bytes).toString().trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { lease: string }).lease)).toEqual(IDS);
});

it("go at once where there are enough for a file", async () => {
  await pool.query(`insert into entity (kind, id, version, data)
    select 'lease', 'b' || i, 1, jsonb_build_object('id', 'b' || i, 'customer', 'p_2', 'state', 'lapsed', 'toldAt', 5, 'issuedAt', i) from generate_series(1, 600) i`);
  await pool.query(
    "insert into archived (lease, over, file, start, bytes, digest) select id, 5, 'f', 0, 1, 'd' from entity where id like 'b%'",
  );
  expect([await run({ now: 10 }), await run({ now: 10 }), await run()]).toEqual([500, 0, 103]);
  expect(await files()).toHaveLength(2);
  const all = await store.leasesOf(reader("p_2"), false, null, 1_000);
  expect([all.rows.length, all.away, all.rows[0]?.id, all.rows.at(-1)?.id]).toEqual([600, [], "b600", "b1"]);
});

describe("cut off", () => {
  const dying = (over: Partial<Store>): Store => ({ ...store, ...over });
  const dies = async (): Promise<never> => {
    throw new Error("killed");
  };

  it.each<[string, () => Promise<unknown>]>([
    ["before the file is written", () => run({ store: dying({ load: dies }) })],
    [
      "in the middle of the file",
      async () => {
        await run({ store: dying({ archiveRows: dies }) }).catch(() => {});
        const [file = ""] = await files();
        const half = (await readFile(path.join(folder, file))).subarray(0, 50);
        await rm(path.join(folder, file));
        await writeFile(path.join(folder, `${file}.w0.part`), half);
      },
    ],
    ["before the database says so", () => run({ store: dying({ archiveRows: dies }) })],
    [
      "inside the database's statement",
      async () => {
        await pool.query("create function spoil() returns trigger language plpgsql as $$ begin raise exception 'killed'; end $$");
        await pool.query("create trigger spoil after update on archived execute function spoil()");
        await expect(run()).rejects.toThrow("killed");
        await pool.query("drop trigger spoil on archived");
      },
    ],
  ])("%s, all rows are here, and go the next time into the same file", async (_where, cut) => {
    const before = await listed();
    await cut().catch(() => {});
    expect([await stubs(), await listed()]).toEqual([0, before]);
    expect(await run()).toBe(3);
    expect([await stubs(), await listed()]).toEqual([3, before]);
    expect((await files()).filter((file) => file.endsWith(".gz"))).toHaveLength(1);
  });

  it("before the broker hears that it was done, nothing is done twice", async () => {
    const unheard = dying({
      archiveRows: async (rows) => {
        await store.archiveRows(rows);
        return dies();
      },
    });
    const before = await listed();
    await expect(run({ store: unheard })).rejects.toThrow("killed");
    expect([await run(), await stubs(), await files(), await listed()]).toEqual([0, 3, [expect.any(String)], before]);
  });

  it("where there is no room, nothing of the file stays and no row goes", async () => {
    await writeFile(folder, "a file where the folder should be");
    await expect(run()).rejects.toThrow(/EEXIST|ENOTDIR/);
    expect(await stubs()).toBe(0);
  });
});

it("go once where two brokers move them at once, and wait for nobody", async () => {
  const other = { store: createPostgresStore(pool, archive), folder: new ArchiveFolder(folder, "w2") };
  const holding = await pool.connect();
  try {
    await holding.query("begin");
    await holding.query("select from archived where lease = 'a2' for update");
    const moved = await Promise.all([run(), run(other), run()]);
    expect(moved.reduce((sum, each) => sum + each, 0)).toBe(2);
    await holding.query("commit");
  } finally {
    holding.release(true);
  }
  expect((await Promise.all([run(), run(other)])).toSorted()).toEqual([0, 1]);
  expect((await listed()).map(({ id }) => id)).toEqual(IDS.toReversed());
});

it.each<[string, (file: string) => Promise<void>]>([
  [
    "changed",
    async (file) => {
      const bytes = await readFile(file);
      bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40);
      await writeFile(file, bytes);
    },
  ],
  ["cut off", (file) => truncate(file, 30)],
  ["gone", (file) => rm(file)],
])("in a file that is %s are told from leases that are not there", async (_how, spoil) => {
  await run();
  expect(await checkArchive(pool, archive)).toMatchObject({
    rows: 3,
    problems: IDS.map((id) => expect.stringMatching(`receipt of lease ${id}`)),
  });
  const [file = ""] = await files();
  await spoil(path.join(folder, file));
  await expect(store.load("lease", ["a1"])).rejects.toThrow(`${file} of the archive cannot be read at 0`);
  const { rows, away } = await store.leasesOf(MINE, false, null, 9);
  expect([...rows, ...away].map(({ id }) => id).toSorted()).toEqual(IDS);
  expect(away.map(({ id }) => id)).toContain("a1");
  const { problems } = await checkArchive(pool, archive);
  expect(problems.filter((problem) => problem.startsWith("row of lease a1"))).toHaveLength(1);
});

it("are named, and not read, by a broker that has no archive", async () => {
  await run();
  const without = createPostgresStore(pool);
  await expect(without.load("lease", ["a1"])).rejects.toThrow("this broker has none (--archive)");
  expect(await without.leasesOf(MINE, false, null, 9)).toMatchObject({ rows: [], away: [{ id: "a3" }, { id: "a2" }, { id: "a1" }] });
  expect(await checkArchive(pool, null)).toEqual({ receipts: 3, rows: 3, problems: [] });
});
