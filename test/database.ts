/** One embedded Postgres per test process; a fresh migrated database per call, from a template. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Pool } from "pg";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "../packages/xenocorp/src/store/embedded.ts";
import { openPool } from "../packages/xenocorp/src/store/pool.ts";
import { TEMPLATE_DATABASE, placeDatabase } from "./shared.ts";

let server: Promise<{ postgres: EmbeddedPostgres; folder: string; admin: Pool }> | null = null;
const pools: Pool[] = [];
let databases = 0;

async function start() {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-test-"));
  const data = path.join(folder, "data");
  await placeDatabase(data);
  const postgres = await startEmbeddedPostgres(data);
  const admin = openPool({ ...postgres.connection, max: 2 });
  return { postgres, folder, admin };
}

export async function createTestDatabase(): Promise<Pool> {
  server ??= start();
  const { postgres, admin } = await server;
  const database = `test_${++databases}`;
  await admin.query(`create database ${database} template ${TEMPLATE_DATABASE}`);
  const pool = openPool({ ...postgres.connection, database, max: 10 });
  pools.push(pool);
  return pool;
}

/** Lets go of all connections: one server has few of them, and a file may have many tests. */
export async function leaveTestDatabases(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.end().catch(() => {})));
}

export async function dropTestDatabases(): Promise<void> {
  await leaveTestDatabases();
  if (!server) return;
  const { postgres, folder, admin } = await server;
  server = null;
  await admin.end();
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
}
