/**
 * Backup, restore and check of a market. A backup is one consistent snapshot of every table with the broker's keys, as gzipped JSON lines.
 * A restored market never continues its old log, which others may have seen further on: it starts an epoch of its own, whose first leaf
 * names the log it follows, its size and root as restored.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { leafHashOf, logOrigin, rootFrom, rootRefs, toHex, verifyCheckpoint, type LogState } from "@xenoservers/protocol";
import { writeNew } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Pool, PoolClient } from "pg";
import { z } from "zod";
import { keysFile, readBrokerKeys } from "./broker-keys.ts";
import { MARKET_DEFAULTS } from "./config.ts";
import { booksProblems } from "./loops/books.ts";
import { keysProblem } from "./log/own-log.ts";
import { bytesOf } from "./log/proofs.ts";
import { LogView } from "./log/log-view.ts";
import { startEpoch } from "./log/sequencer.ts";
import { openStore, type BrokerOptions } from "./main.ts";
import type { LogHead, Store } from "./store/store.ts";

type Place = Pick<BrokerOptions, "dataFolder" | "databaseUrl">;

const FORMAT = "xenoservers-backup-1";
/** The old epochs' leaves are not carried over, the next epoch logs every document anew; their nodes prove what was restored of them. */
const TABLES = [
  "entity",
  "balance",
  "transfer",
  "applied",
  "unique_key",
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

async function* rowsOf(pool: Pool, header: object): AsyncGenerator<string> {
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

export async function backup(place: Place, file: string): Promise<{ rows: number; logSize: number }> {
  await readBrokerKeys(place.dataFolder); // before anything is made for it
  const { pool, store, close } = await openStore(place);
  try {
    const keys = await keysToBackUp(place, store);
    let rows = -1;
    async function* counted(): AsyncGenerator<string> {
      for await (const line of rowsOf(pool, { format: FORMAT, keys })) {
        rows++;
        yield line;
      }
    }
    const part = `${file}.part`;
    await rm(part, { force: true });
    await writeFile(part, "", { mode: 0o600, flag: "wx" }); // nobody else's file: the keys are in it
    await pipeline(Readable.from(counted()), createGzip(), createWriteStream(part, { mode: 0o600 }));
    await rename(part, file); // an earlier backup is replaced by a whole one only
    return { rows, logSize: (await store.logHead())?.size ?? 0 };
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

async function insert(client: PoolClient, table: (typeof TABLES)[number], rows: string[]): Promise<void> {
  await client.query(`${INSERTS.get(table) ?? `insert into ${table} select *`} from json_populate_recordset(null::${table}, $1::json)`, [
    `[${rows.join(",")}]`,
  ]);
}

/** Throws where the file is damaged or cut off. */
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

/** The broker's keys in a backup that is whole. Throws where the file is damaged, cut off, or no backup. */
async function keysOfWhole(file: string): Promise<unknown> {
  let header: { keys: unknown } | null = null;
  for await (const line of linesOf(file)) header ??= { keys: headerOf(line, file) };
  if (header === null) throw new Error(`${file} is no whole backup: it is empty`);
  return header.keys;
}

interface Restored {
  rows: number;
  /** The epoch that begins. */
  epoch: string;
  /** What it follows, as far as the backup has it: what was promised later is void. */
  previous: LogState | null;
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

/** Into an empty market only; all of it, or nothing. */
export async function restore(place: Place, file: string): Promise<Restored> {
  const keys = await keysOfWhole(file); // before anything is made for it
  const { pool, store, close } = await openStore(place);
  try {
    if ((await store.logHead()) !== null) throw new Error("this market is not empty; restore into a new folder or database");
    let count = -1;
    let table: (typeof TABLES)[number] | null = null;
    let page: string[] = [];
    const client = await pool.connect();
    try {
      await client.query("begin");
      const flush = async (): Promise<void> => {
        if (table && page.length > 0) await insert(client, table, page);
        page = [];
      };
      for await (const line of linesOf(file)) {
        if (count++ < 0) continue; // the header
        const tab = line.indexOf("\t");
        const name: unknown = JSON.parse(line.slice(0, tab));
        const next = TABLES.find((known) => known === name);
        if (next === undefined) throw new Error(`${file} holds a table this version does not know: ${String(name)}`);
        if (next !== table || page.length >= pageOf(next)) await flush();
        table = next;
        page.push(line.slice(tab + 1));
      }
      await flush();
      for (const name of ["transfer", "document", "event"])
        await client.query(`select setval(pg_get_serial_sequence('${name}', 'seq'), (select coalesce(max(seq), 0) + 1 from ${name}))`);
      await mkdir(place.dataFolder, { recursive: true, mode: 0o700 });
      await writeNew(keysFile(place.dataFolder), JSON.stringify(keys, null, 1));
      await client.query("commit").catch(async (error: unknown) => {
        await rm(keysFile(place.dataFolder));
        throw error;
      });
      client.release();
    } catch (error) {
      client.release(true); // closes the connection, and with it the transaction
      throw error;
    }
    const loaded = await readBrokerKeys(place.dataFolder);
    const previous = await restoredHead(store);
    const config = { ...MARKET_DEFAULTS, origin: loaded.origin, operatorKey: loaded.operator?.publicKey ?? "" };
    const log = new LogView();
    const desk = { store, crypto: nodeCrypto, keys: loaded.keys, config, log, now: () => Date.now() };
    await startEpoch(desk, previous, "restored from a backup");
    const follows = previous && { epoch: previous.id, size: previous.size, root: previous.root };
    return { rows: count, epoch: log.seen.epoch, previous: follows };
  } finally {
    await close();
  }
}

/** Recomputes what the books and the log say. */
export async function check(place: Place): Promise<{ balances: number; logSize: number; pending: number; problems: string[] }> {
  const loaded = await readBrokerKeys(place.dataFolder); // before anything is made for it
  const { store, close } = await openStore(place);
  try {
    const audit = await store.audit();
    const problems = booksProblems(audit);
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
    return { balances: audit.balances.size, logSize: head?.size ?? 0, pending: (await store.logPending(1_000_000)).length, problems };
  } finally {
    await close();
  }
}
