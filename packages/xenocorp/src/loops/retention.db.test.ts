/** Of several brokers on one database one drops what is too old, at once where it is alone, and another when that one has gone. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import { until } from "../../../../test/until.ts";
import { startBroker, type Broker } from "../main.ts";

let dataFolder: string;
beforeEach(async () => {
  dataFolder = await mkdtemp(path.join(tmpdir(), "xeno-retention-"));
});
afterEach(async () => {
  await leaveTestDatabases();
  await rm(dataFolder, { recursive: true, force: true });
});
afterAll(dropTestDatabases);

it("is dropped by a broker whose turn it is", async () => {
  const pool = await createTestDatabase();
  const { host, user, database } = pool.options;
  const databaseUrl = `postgres://${user}@/${database}?host=${encodeURIComponent(String(host))}`;
  const open = (retention?: { eventsMs: number; answersMs: number }): Promise<Broker> =>
    startBroker({ dataFolder, databaseUrl, ...(retention ? { retention } : {}) });
  const first = await open();
  const [keys] = await first.store.documentsOfKind("market-keys");
  const isAnswered = async ({ store }: Broker): Promise<boolean> => (await store.answerTo(keys?.id ?? "")) !== null;
  const turn = async (): Promise<string> =>
    (await pool.query<{ broker: string }>("select broker from duty where name = 'retention' and until > 0")).rows[0]?.broker ?? "";
  await until(async () => (await turn()) !== "");
  const holder = await turn();
  expect(await isAnswered(first)).toBe(true);

  const second = await open({ eventsMs: 0, answersMs: 0 });
  expect(await isAnswered(second)).toBe(true);
  expect(await turn()).toBe(holder);
  await second.close();
  await first.close();
  expect(await turn()).toBe("");

  // and as soon as its operator says so
  const third = await open();
  await until(async () => (await turn()) !== "");
  third.keep({ retention: { eventsMs: 0, answersMs: 0 }, archiveAfterMs: 0 });
  await until(async () => !(await isAnswered(third)));
  expect(await third.store.document(keys?.id ?? "")).not.toBeNull();
  await third.close();
});
