/** Applies what is missing, one transaction each, under an advisory lock so that brokers started together do it once. */
import { createHash } from "node:crypto";
import type { Pool } from "pg";
import { MIGRATIONS } from "./migrations.ts";

const MIGRATION_LOCK = 7_302_001;
const digestOf = (sql: string): string => createHash("sha256").update(sql).digest("hex");

export async function migrate(pool: Pool): Promise<string[]> {
  const client = await pool.connect();
  const applied: string[] = [];
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await client.query("create table if not exists migration (name text primary key, at timestamptz not null default now())");
    await client.query("alter table migration add column if not exists digest text");
    const { rows } = await client.query<{ name: string; digest: string | null }>("select name, digest from migration");
    const known = new Map(rows.map(({ name, digest }) => [name, digest]));
    const foreign = [...known.keys()].filter((name) => !MIGRATIONS.some((migration) => migration.name === name));
    if (foreign.length > 0)
      throw new Error(`the database was written by a newer xeno (migration ${foreign[0]}); upgrade: \`npm install -g xenoservers@latest\``);
    for (const migration of MIGRATIONS) {
      const before = known.get(migration.name);
      if (before === digestOf(migration.sql)) continue;
      if (before !== undefined)
        throw new Error(
          `the database was made by another snapshot of this xeno (${migration.name} is another): begin with a new data folder, ` +
            "or open it with the snapshot that made it",
        );
      await client.query("begin");
      try {
        await client.query(migration.sql);
        await client.query("insert into migration (name, digest) values ($1, $2)", [migration.name, digestOf(migration.sql)]);
        await client.query("commit");
      } catch (cause) {
        await client.query("rollback").catch(() => {}); // what was wrong is told, and not that the connection went with it
        throw new Error(`migration ${migration.name} failed`, { cause });
      }
      applied.push(migration.name);
    }
  } finally {
    await client.query("select pg_advisory_unlock($1)", [MIGRATION_LOCK]).catch(() => {});
    client.release();
  }
  return applied;
}
