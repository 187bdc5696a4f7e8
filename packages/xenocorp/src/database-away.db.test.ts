/** A broker whose database goes away as it starts says so, whatever it was just at. */
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../test/database.ts";
import { startBroker } from "./main.ts";

let folder: string;
let server: Server | null = null;
const open = new Set<Socket>();
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-away-"));
});
afterEach(async () => {
  server?.close();
  await leaveTestDatabases();
  await rm(folder, { recursive: true, force: true });
});
afterAll(dropTestDatabases);

/** Of a database that is gone for good once it is asked something that says this. */
async function goneAt(word: string): Promise<string> {
  const pool = await createTestDatabase();
  const { host, user } = pool.options;
  const name = (await pool.query<{ name: string }>("select current_database() as name")).rows[0]!.name;
  const goes = (): void => {
    server?.close();
    for (const socket of open) socket.destroy();
  };
  server = createServer((here) => {
    const there = connect(`${host}/.s.PGSQL.5432`);
    for (const socket of [here, there]) {
      open.add(socket);
      socket.on("error", () => {}).on("close", () => [here, there].forEach((each) => each.destroy()));
    }
    here.on("data", (asked) => (asked.includes(word) ? goes() : there.write(asked)));
    there.pipe(here);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `postgres://${user}@127.0.0.1:${(server.address() as AddressInfo).port}/${name}`;
}

it.each(["startup", "transaction_read_only", "pg_advisory_lock", "market-keys", "clock_timestamp"])("at its word %s", async (word) => {
  const databaseUrl = await goneAt(word === "startup" ? "user" : word);
  await expect(startBroker({ dataFolder: path.join(folder, "data"), databaseUrl })).rejects.toThrow(
    /^the database cannot be used: it .*is DATABASE_URL right\?|^the database cannot be used: nothing answers there/,
  );
});

it("is not blamed for a place at which the broker cannot listen, nor for its own files", async () => {
  const pool = await createTestDatabase();
  const { host, user } = pool.options;
  const { rows } = await pool.query<{ name: string }>("select current_database() as name");
  const databaseUrl = `postgres://${user}@localhost/${rows[0]!.name}?host=${host}`;
  const [dataFolder, dangling, odd] = [path.join(folder, "data"), path.join(folder, "link"), "no-such-host.invalid"];
  await symlink(path.join(folder, "nowhere"), dangling);
  for (const options of [{ host: odd }, { metrics: { host: odd, port: 0 } }, { dataFolder: dangling }])
    await expect(startBroker({ dataFolder, databaseUrl, ...options })).rejects.toThrow(/^(?!the database).*(?:no-such-host|link)/);
});
