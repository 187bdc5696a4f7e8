/**
 * What every market of a test run needs and what takes seconds to make, made once a run by whoever needs it first: the rewritten Python, and a
 * database cluster with its tables. The runner calls the default export before and after all tests; without it each caller makes its own.
 */
import { execFile } from "node:child_process";
import { appendFile, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { preparedRuntime, pythonRuntime } from "@xenoservers/guests";
import { migrate } from "../packages/xenocorp/src/migrations/migrate.ts";
import { startEmbeddedPostgres } from "../packages/xenocorp/src/store/embedded.ts";
import { openPool } from "../packages/xenocorp/src/store/pool.ts";

const FOLDER = "XENO_TEST_SHARED";
/** Holds a migrated database for `create database ... template`. */
export const TEMPLATE_DATABASE = "template_market";

export default async function sharedFolder(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-shared-"));
  process.env[FOLDER] = folder;
  return () => rm(folder, { recursive: true, force: true });
}

/** The folder of that name in the run's shared one, made at most once by each worker; whoever is first to finish wins. */
async function once(name: string, make: (folder: string) => Promise<void>, otherwise: string): Promise<string> {
  const shared = process.env[FOLDER];
  const at = path.join(shared ?? otherwise, name);
  const isThere = (): Promise<boolean> =>
    stat(at).then(
      () => true,
      () => false,
    );
  if (await isThere()) return at;
  await mkdir(shared ?? otherwise, { recursive: true });
  const part = await mkdtemp(`${at}-`);
  await make(part);
  await rename(part, at).catch(async (error: unknown) => {
    if (!(await isThere())) throw error;
    await rm(part, { recursive: true, force: true });
  });
  return at;
}

/** A cache of rewritten runtimes; below `otherwise` where nothing is shared. */
export const preparedCache = (otherwise: string): Promise<string> =>
  once("prepared", async (folder) => void (await preparedRuntime(await pythonRuntime(), folder)), otherwise);

/** A cluster that is never started again, only copied. It does not wait for the disk: a killed process loses nothing by that, only a killed host would. */
const cluster = (otherwise: string): Promise<string> =>
  once(
    "cluster",
    async (folder) => {
      const postgres = await startEmbeddedPostgres(folder);
      const admin = openPool({ ...postgres.connection, max: 1 });
      await migrate(admin);
      await admin.query(`create database ${TEMPLATE_DATABASE} template template0`);
      const template = openPool({ ...postgres.connection, database: TEMPLATE_DATABASE, max: 1 });
      await migrate(template);
      await template.end();
      await admin.end();
      await postgres.stop();
      await appendFile(path.join(folder, "postgres", "postgresql.conf"), "\nfsync = off\n");
      await rm(path.join(folder, "run"), { recursive: true, force: true });
    },
    otherwise,
  );

/** Lays a database with its tables into a broker's data folder, as its first start would. */
export async function placeDatabase(dataFolder: string): Promise<void> {
  const from = await cluster(`${dataFolder}-made`);
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  await promisify(execFile)("cp", ["-a", "--reflink=auto", path.join(from, "postgres"), dataFolder]);
}
