/**
 * Backup, restore and check of a market. A backup is one consistent snapshot of every table with the broker's keys, as gzipped JSON lines.
 * A restored market never continues its old log, which others may have seen further on: it starts an epoch of its own, whose first leaf
 * names the log it follows, its size and root as restored.
 */
import { createReadStream } from "node:fs";
import { link, lstat, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { leafHashOf, logOrigin, rootFrom, rootRefs, toHex, verifyCheckpoint, type LogState } from "@xenoservers/protocol";
import { ifThere, nameBeside, writeNew } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Pool, PoolClient } from "pg";
import { z } from "zod";
import { RECEIPT_LINE, ROWS_LINE, receiptLines, restoreReceipt, restoreRowFile, rowFileLines } from "./archive/archive-backup.ts";
import { checkArchive } from "./archive/archive-check.ts";
import type { ArchiveFolder } from "./archive/archive-folder.ts";
import { keysFile, readBrokerKeys } from "./broker-keys.ts";
import { MARKET_DEFAULTS } from "./config.ts";
import { booksProblems } from "./loops/books.ts";
import { keysProblem } from "./log/own-log.ts";
import { bytesOf } from "./log/proofs.ts";
import { LogView } from "./log/log-view.ts";
import { startEpoch } from "./log/sequencer.ts";
import { openStore, type BrokerOptions } from "./main.ts";
import type { LogHead, Store } from "./store/store.ts";

/** `archive`: the folder where leases lie that are long over; null: they are not looked at. */
type Place = Pick<BrokerOptions, "dataFolder" | "databaseUrl"> & { archive?: string | null };

const opened = ({ archive, ...place }: Place): ReturnType<typeof openStore> =>
  openStore({ ...place, archive: archive ? { folder: archive, afterMs: Infinity } : undefined });

const FORMAT = "xenoservers-backup-1";
/** The old epochs' leaves are not carried over, the next epoch logs every document anew; their nodes prove what was restored of them. */
const TABLES = [
  "entity",
  "balance",
  "transfer",
  "applied",
  "reference",
  "document",
  "archived",
  "event",
  "event_dropped",
  "sealed",
  "log_head",
  "log_node",
] as const;
const PAGE = 1_000;
const zHeader = z.object({ format: z.literal(FORMAT), keys: z.unknown() });
/** A row of these holds as much as a page of another table. */
const LARGE_ROWS: ReadonlySet<string> = new Set(["sealed"]);
const pageOf = (table: string): number => (LARGE_ROWS.has(table) ? 1 : PAGE);

async function* rowsOf(pool: Pool, header: object, archive: ArchiveFolder | null): AsyncGenerator<string> {
  const client = await pool.connect();
  try {
    await client.query("begin isolation level repeatable read read only");
    yield `${JSON.stringify(header)}\n`;
    for (const table of TABLES) {
      await client.query(`declare rows cursor for select row_to_json(t)::text as row from ${table} t`);
      for (;;) {
        const { rows } = await client.query<{ row: string }>(`fetch ${pageOf(table)} from rows`);
        for (const { row } of rows) yield `${JSON.stringify(table)}\t${row}\n`;
        if (rows.length < pageOf(table)) break;
      }
      await client.query("close rows");
    }
    if (!archive) return;
    yield* receiptLines(client, archive);
    yield* rowFileLines(client, archive);
  } finally {
    await client.query("rollback");
    client.release();
  }
}

/** Throws where the folder's keys are not those of the database's log: a backup with others is worth nothing. */
async function keysToBackUp({ dataFolder }: Place, store: Store): Promise<unknown> {
  const loaded = await readBrokerKeys(dataFolder);
  const head = await store.logHead();
  if (!head) throw new Error("the database has no market to back up: is DATABASE_URL right?");
  const problem = await keysProblem(store, nodeCrypto, head, loaded);
  if (problem !== null) throw new Error(`${problem}; no backup was made: put the market's broker-keys.json into ${dataFolder}`);
  return JSON.parse(await readFile(keysFile(dataFolder), "utf8"));
}

interface BackedUp {
  rows: number;
  logSize: number;
  /** Leases that lie in the archive, and whether this backup holds them. */
  archived: number;
  holdsArchive: boolean;
}

/**
 * Written beside, on the disk, and then there at once: `file` is never a part of a backup. One that exists is replaced where that is
 * wanted, and else is a reason to make none.
 */
async function writeFrom(lines: AsyncIterable<string>, file: string, replace: boolean): Promise<void> {
  const part = nameBeside(file);
  const handle = await open(part, "wx", 0o600); // the keys are in it
  try {
    await pipeline(Readable.from(lines), createGzip(), handle.createWriteStream({ flush: true }));
    await (replace ? rename(part, file) : link(part, file));
  } catch (error) {
    throw error instanceof Error && "code" in error && error.code === "EEXIST" ? existing(file) : error;
  } finally {
    await handle.close().catch(() => {});
    await rm(part, { force: true });
  }
  const folder = await open(path.dirname(path.resolve(file)), "r");
  await folder.sync().finally(() => folder.close());
}

const existing = (file: string): Error =>
  new Error(`${file} exists and was left as it is: name another file, or replace it with --replace`);

/** An earlier backup may go where that is wanted, also one that was cut off; anything else, such as the keys themselves, never does. */
async function assertMayReplace(file: string, replace: boolean): Promise<void> {
  if (!replace) throw existing(file);
  for await (const line of linesOf(file)) return void headerOf(line, file);
  throw new Error(`${file} is not a backup of a market, and was left as it is`);
}

export async function backup(place: Place, file: string, { replace = false } = {}): Promise<BackedUp> {
  const folder = path.dirname(path.resolve(file));
  if (!(await ifThere(stat(folder)))?.isDirectory()) throw new Error(`there is no folder ${folder}: make it first`);
  if (await ifThere(lstat(file))) await assertMayReplace(file, replace);
  await readBrokerKeys(place.dataFolder); // before anything is made for it
  const { pool, store, archive, close } = await opened(place);
  try {
    const keys = await keysToBackUp(place, store);
    const [counts, logSize] = [{ rows: -1, archived: 0 }, (await store.logHead())?.size ?? 0];
    async function* counted(): AsyncGenerator<string> {
      for await (const line of rowsOf(pool, { format: FORMAT, keys }, archive)) {
        if (![RECEIPT_LINE, ROWS_LINE].some((name) => line.startsWith(JSON.stringify(name)))) counts.rows++;
        if (line.startsWith('"archived"')) counts.archived++;
        yield line;
      }
    }
    await writeFrom(counted(), file, replace);
    return { ...counts, logSize, holdsArchive: archive !== null };
  } finally {
    await close();
  }
}

/** Numbers of transactions are those of the database that was: here they all come first. */
const INSERTS: ReadonlyMap<string, string> = new Map([
  ["applied", "insert into applied (id, answer, at) select id, answer, coalesce(at, now())"],
  ["event_dropped", "insert into event_dropped (party, xid, seq) select party, '0'::xid8, seq"],
  ["event", "insert into event (xid, seq, party, kind, lease, data, at) select '0'::xid8, seq, party, kind, lease, data, at"],
  ["transfer", "insert into transfer (id, debit, credit, amount, xid, seq, at) select id, debit, credit, amount, '0'::xid8, seq, at"],
]);

/** Tables of earlier backups, and what their rows are now. */
const EARLIER: ReadonlyMap<string, string> = new Map([
  ["unique_key", "insert into reference select reference_digest(key) from json_to_recordset($1::json) as earlier (key text)"],
]);

async function insert(client: PoolClient, table: string, rows: string[]): Promise<void> {
  const asNow = `${INSERTS.get(table) ?? `insert into ${table} select *`} from json_populate_recordset(null::${table}, $1::json)`;
  await client.query(EARLIER.get(table) ?? asNow, [`[${rows.join(",")}]`]);
}

const isMissing = (error: unknown): boolean => error instanceof Error && "code" in error && error.code === "ENOENT";

/** Throws where the file is missing, damaged or cut off. */
async function* linesOf(file: string): AsyncGenerator<string> {
  const unpacked = createGunzip().setEncoding("utf8");
  const reading = pipeline(createReadStream(file), unpacked);
  reading.catch(() => {}); // told below
  let rest: string[] = [];
  try {
    for await (const text of unpacked) {
      const [first = "", ...lines] = String(text).split("\n");
      rest.push(first);
      for (const line of lines) {
        yield rest.join("");
        rest = [line];
      }
    }
    await reading;
  } catch (cause) {
    if (isMissing(cause)) throw new Error(`there is no file ${file}`, { cause });
    throw new Error(`${file} is no whole backup: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (rest.join("") !== "") throw new Error(`${file} is no whole backup: its last line is cut off`);
}

function headerOf(line: string, file: string): unknown {
  try {
    const header = zHeader.safeParse(JSON.parse(line));
    if (header.success) return header.data.keys;
  } catch {
    // no JSON at all
  }
  throw new Error(`${file} is not a backup of a market`);
}

/** Throws where the file is damaged, cut off, or no backup. */
async function assertWhole(file: string): Promise<void> {
  let lines = 0;
  for await (const line of linesOf(file)) if (lines++ === 0) headerOf(line, file);
  if (lines === 0) throw new Error(`${file} is no whole backup: it is empty`);
}

interface Restored {
  rows: number;
  /** The epoch that begins. */
  epoch: string;
  /** What it follows, as far as the backup has it: what was promised later is void. */
  previous: LogState | null;
  /** Leases that lie in the archive, and how many of them came from the backup. */
  archived: number;
  receipts: number;
}

/** Of a backup's log, its root recomputed: it will be declared to everyone. */
async function restoredHead(store: Store): Promise<LogHead | null> {
  const head = await store.logHead();
  if (!head) return null;
  const nodes = await store.logNodes(rootRefs(head.size));
  if (toHex(rootFrom(nodeCrypto, head.size, nodes.map(bytesOf))) !== head.root)
    throw new Error("the log in this backup is damaged: its root does not follow from its nodes");
  return head;
}

/** Reads a backup's lines into a database, inside a transaction. */
class Restoring {
  readonly #client: PoolClient;
  readonly #file: string;
  readonly #archive: ArchiveFolder | null;
  readonly #now = Date.now();
  #table: string | null = null;
  #page: string[] = [];
  readonly counts = { rows: 0, archived: 0, receipts: 0 };

  constructor(client: PoolClient, file: string, archive: ArchiveFolder | null) {
    this.#client = client;
    this.#file = file;
    this.#archive = archive;
  }

  async add(line: string): Promise<void> {
    const tab = line.indexOf("\t");
    const [name, row]: [unknown, string] = [JSON.parse(line.slice(0, tab)), line.slice(tab + 1)];
    if (name === RECEIPT_LINE || name === ROWS_LINE) return this.#addArchived(name, row);
    const next = [...TABLES, ...EARLIER.keys()].find((known) => known === name);
    if (next === undefined) throw new Error(`${this.#file} holds a table this version does not know: ${String(name)}`);
    if (next !== this.#table || this.#page.length >= pageOf(next)) await this.flush();
    this.#table = next;
    this.#page.push(row);
    this.counts.rows++;
    if (next === "archived") this.counts.archived++;
  }

  async #addArchived(name: typeof RECEIPT_LINE | typeof ROWS_LINE, row: string): Promise<void> {
    await this.flush();
    if (!this.#archive)
      throw new Error(`${this.#file} holds leases of the archive too: name an empty folder for them, or theirs, with --archive FOLDER`);
    if (name === ROWS_LINE) return restoreRowFile(this.#archive, row);
    await restoreReceipt(this.#client, this.#archive, row, this.#now);
    this.counts.receipts++;
  }

  async flush(): Promise<void> {
    if (this.#table && this.#page.length > 0) await insert(this.#client, this.#table, this.#page);
    this.#page = [];
  }

  /** What is not the transaction's goes, too. */
  async undo(): Promise<void> {
    await this.#archive?.undo(this.#now);
  }
}

/** All of it, or nothing. */
async function restoreRows(client: PoolClient, place: Place, file: string, archive: ArchiveFolder | null): Promise<Restoring["counts"]> {
  const restoring = new Restoring(client, file, archive);
  let keys: unknown = null;
  try {
    await client.query("begin");
    for await (const line of linesOf(file)) {
      if (keys === null) keys = headerOf(line, file);
      else await restoring.add(line);
    }
    await restoring.flush();
    for (const name of ["transfer", "document", "event"])
      await client.query(`select setval(pg_get_serial_sequence('${name}', 'seq'), (select coalesce(max(seq), 0) + 1 from ${name}))`);
    await mkdir(place.dataFolder, { recursive: true, mode: 0o700 });
    await writeNew(keysFile(place.dataFolder), JSON.stringify(keys, null, 1));
    await client.query("commit").catch(async (error: unknown) => {
      await rm(keysFile(place.dataFolder));
      throw error;
    });
    client.release();
    return restoring.counts;
  } catch (error) {
    client.release(true); // closes the connection, and with it the transaction
    await restoring.undo();
    throw error;
  }
}

/** Into an empty market only. */
export async function restore(place: Place, file: string): Promise<Restored> {
  await assertWhole(file); // before anything is made for it
  const { pool, store, archive, close } = await opened(place);
  try {
    if ((await store.logHead()) !== null) throw new Error("this market is not empty; restore into a new folder or database");
    const counts = await restoreRows(await pool.connect(), place, file, archive);
    const loaded = await readBrokerKeys(place.dataFolder);
    const previous = await restoredHead(store);
    const config = { ...MARKET_DEFAULTS, origin: loaded.origin, operatorKey: loaded.operator?.publicKey ?? "" };
    const log = new LogView();
    const desk = { store, crypto: nodeCrypto, keys: loaded.keys, config, log, now: () => Date.now() };
    await startEpoch(desk, previous, "restored from a backup");
    const follows = previous && { epoch: previous.id, size: previous.size, root: previous.root };
    return { ...counts, epoch: log.seen.epoch, previous: follows };
  } finally {
    await close();
  }
}

interface Checked {
  balances: number;
  logSize: number;
  pending: number;
  /** Leases that lie in the archive, those of them whose rows do too, and whether all were read. */
  archived: number;
  archivedRows: number;
  readArchive: boolean;
  problems: string[];
}

/** Recomputes what the books and the log say, and reads the archive where its folder is named. */
export async function check(place: Place): Promise<Checked> {
  const loaded = await readBrokerKeys(place.dataFolder); // before anything is made for it
  const { pool, store, archive, close } = await opened(place);
  try {
    const audit = await store.audit();
    const archived = await checkArchive(pool, archive);
    const problems = [...booksProblems(audit), ...archived.problems];
    const head = await store.logHead();
    if (head) {
      const wrongKeys = await keysProblem(store, nodeCrypto, head, loaded);
      if (wrongKeys !== null) problems.push(wrongKeys);
      const checkpoint = verifyCheckpoint(nodeCrypto, loaded.keys.checkpoints.publicKey, head.checkpoint);
      if (checkpoint?.size !== head.size || checkpoint.root !== head.root || checkpoint.origin !== logOrigin(loaded.origin, head.id))
        problems.push("the log's checkpoint is not its head, signed");
      for (let from = 0; from < head.size; from += PAGE) {
        const entries = await store.logEntries(from, Math.min(head.size, from + PAGE));
        const hashes = await store.logNodes(entries.map((_, i) => ({ level: 0, index: from + i })));
        for (const [i, entry] of entries.entries())
          if (leafHashOf(nodeCrypto, entry, entry.at, entry.salt) !== hashes[i]) problems.push(`leaf ${from + i} is not its document`);
      }
      const nodes = await store.logNodes(rootRefs(head.size));
      if (toHex(rootFrom(nodeCrypto, head.size, nodes.map(bytesOf))) !== head.root)
        problems.push("the log's root does not follow from its nodes");
    }
    return {
      ...{ balances: audit.balances.size, logSize: head?.size ?? 0, pending: (await store.logPending(1_000_000)).length, problems },
      ...{ archived: archived.receipts, archivedRows: archived.rows, readArchive: archive !== null },
    };
  } finally {
    await close();
  }
}
