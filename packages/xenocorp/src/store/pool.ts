/** Connections to PostgreSQL. The server may close one at any moment: idle, in use or on its way out. */
import { Pool, type PoolClient, type PoolConfig } from "pg";
import { Hosts, clientOf } from "./hosts.ts";

/**
 * A pool that outlives its connections. A query on a broken connection rejects and the next one opens another; `pg` reports the same loss
 * once more as an `error` event, on the pool for idle connections and on the client for others, which nobody needs and which unheard ends
 * the process.
 */
export function openPool(config: PoolConfig): Pool {
  const { connectionString } = config;
  const pool = new Pool(connectionString === undefined ? config : { ...config, Client: clientOf(new Hosts(connectionString)) });
  const heard = (): void => {};
  pool.on("error", heard);
  pool.on("connect", (client) => client.on("error", heard));
  return pool;
}

/** How long each connection is taken for a query or a transaction. One that listens for hints is taken until it is lost. */
export function watchPool(pool: Pool, took: (seconds: number) => void): void {
  const since = new WeakMap<PoolClient, number>();
  pool.on("acquire", (client) => since.set(client, performance.now()));
  pool.on("release", (_error, client) => {
    const at = since.get(client);
    if (at !== undefined) took((performance.now() - at) / 1_000);
  });
}
