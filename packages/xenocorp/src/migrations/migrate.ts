/** Applies what is missing, one transaction each, under an advisory lock so that brokers started together do it once. */
import type { Pool } from "pg";
import { MIGRATIONS } from "./migrations.ts";

const MIGRATION_LOCK = 7_302_001;

export async function migrate(pool: Pool): Promise<string[]> {
  const client = await pool.connect();
  const applied: string[] = [];
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    await client.query("create table if not exists migration (name text primary key, at timestamptz not null default now())");
    const known = new Set((await client.query<{ name: string }>("select name from migration")).rows.map((row) => row.name));
    const foreign = [...known].filter((name) => !MIGRATIONS.some((migration) => migration.name === name));
    if (foreign.length > 0)
      throw new Error(`the database was written by a newer xeno (migration ${foreign[0]}); upgrade with \`npm install -g xeno@latest\``);
    for (const migration of MIGRATIONS) {
      if (known.has(migration.name)) continue;
      await client.query("begin");
      try {
        await client.query(migration.sql);
        await client.query("insert into migration (name) values ($1)", [migration.name]);
        await client.query("commit");
      } catch (cause) {
        await client.query("rollback");
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
