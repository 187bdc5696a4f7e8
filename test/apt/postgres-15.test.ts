import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe } from "vitest";
import { migrate } from "../../packages/xenocorp/src/migrations/migrate.ts";
import { storeContract } from "../../packages/xenocorp/src/store/contract.ts";
import { openPool } from "../../packages/xenocorp/src/store/pool.ts";
import { until } from "../until.ts";
import { createPostgresStore } from "../../packages/xenocorp/src/store/postgres.ts";

const BIN = "/usr/lib/postgresql/15/bin";
const installed = existsSync(`${BIN}/postgres`);
if (!installed) console.warn("SKIPPED: postgresql-15 is not installed");

/** PostgreSQL 15 is the oldest supported; the embedded one is newer. */
describe.skipIf(!installed)("Debian's PostgreSQL 15", () => {
  let folder: string;
  let server: ChildProcess;
  const pools: Pool[] = [];
  let databases = 0;
  const asUser = (command: string[]) =>
    process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", ...command] : command;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "xeno-pg15-"));
    const [initdb, ...initArgs] = asUser([
      `${BIN}/initdb`,
      "-D",
      path.join(folder, "data"),
      "-U",
      "xeno",
      "--auth=trust",
      "-E",
      "UTF8",
      "--locale=C",
    ]);
    execFileSync(initdb!, initArgs);
    const [command, ...args] = asUser([
      "setpriv",
      "--pdeathsig",
      "INT",
      `${BIN}/postgres`,
      "-D",
      path.join(folder, "data"),
      "-k",
      folder,
      "-c",
      "listen_addresses=",
    ]);
    server = spawn(command!, args, { stdio: "ignore" });
    const admin = openPool({ host: folder, user: "xeno", database: "postgres", max: 1 });
    await until(() =>
      admin.query("select 1").then(
        () => true,
        () => false,
      ),
    );
    pools.push(admin);
  });
  afterAll(async () => {
    await Promise.all(pools.map((pool) => pool.end()));
    const gone = new Promise((resolve) => server.once("exit", resolve));
    server.kill("SIGINT");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });

  storeContract("PostgreSQL 15", async (archive) => {
    const database = `t${++databases}`;
    await pools[0]!.query(`create database ${database}`);
    const pool = openPool({ host: folder, user: "xeno", database, max: 5 });
    pools.push(pool);
    await migrate(pool);
    return createPostgresStore(pool, archive);
  });
});
