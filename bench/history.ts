/**
 * How soon servers are back at a broker with a long history: real logins of 1,000 servers whose past leases, 10^5 in all, fill the tables,
 * beside as many bare ones on the same database, from the same program.
 */
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import { fetchMarket } from "@xenoservers/sdk";
import type { Pool } from "pg";
import { startEmbeddedPostgres } from "../packages/xenocorp/src/store/embedded.ts";
import { fillHistory } from "../packages/xenocorp/src/store/history.fixture.ts";
import { openPool } from "../packages/xenocorp/src/store/pool.ts";
import { Programs, kill9, told } from "../test/process/programs.ts";
import { bareLogins } from "./lib/bare-logins.ts";
import { report, type Figure } from "./lib/report.ts";

const SERVERS = 1_000;
const PAST = { leases: 100_000, documents: 1_000_000, servers: 0 };
const BACK_MS_MAX = 30_000;

/** The past is these servers', all of it over. */
async function remember(pool: Pool, servers: readonly string[]): Promise<void> {
  // what a young market proved of its books would stand in the way of what is seeded
  await pool.query("delete from proved_sum");
  await fillHistory(pool, PAST);
  await pool.query(
    `update entity set data = data || jsonb_build_object('state', 'final', 'deadlineAt', null,
       'server', ($1::text[])[1 + (data->>'issuedAt')::int % $2::int]) where kind = 'lease'`,
    [servers, servers.length],
  );
  await pool.query("analyze");
}

class Servers {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(url: string) {
    const args = [path.join(import.meta.dirname, "lib/servers.ts"), url, String(SERVERS)];
    this.child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  async says<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the servers ended early");
    return JSON.parse(value) as T;
  }

  back(url: string): Promise<{ ms: number; refused: number }> {
    this.child.stdin!.write(`${url}\n`);
    return this.says();
  }
}

export async function history(): Promise<Figure[]> {
  const programs = await Programs.open();
  const children: ChildProcess[] = [];
  try {
    const young = await programs.startBroker();
    children.push(young);
    const servers = new Servers(programs.url);
    children.push(servers.child);
    const ids = await servers.says<string[]>();
    const market = await fetchMarket(programs.url);
    await told(young);

    const postgres = await startEmbeddedPostgres(programs.at("broker"));
    const pool = openPool({ ...postgres.connection, max: 10 });
    await remember(pool, ids);
    const bare = await bareLogins(pool, market);
    const peer = await servers.back(bare.url);
    bare.close();
    await pool.end();
    await postgres.stop();

    children.push(await programs.startBroker());
    const seen = await servers.back(programs.url);
    console.error(`${seen.refused} logins were refused and came again; of the bare ones ${peer.refused}`);
    const against = { peer: "as many bare WebSocket logins: challenge, signature, one look-up", peerValue: peer.ms };
    return [
      report("1,000 servers back after 10^5 past leases, first login → last welcome", seen.ms, "ms", against, null),
      report("the same, as a bound", seen.ms, "ms", null, BACK_MS_MAX),
    ];
  } finally {
    for (const child of children.reverse()) await kill9(child);
    await programs.remove();
  }
}
