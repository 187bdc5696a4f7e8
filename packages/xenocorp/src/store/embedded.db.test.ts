/** A database that a broker brings along says why it ended, at its start and later, and comes back when it can. */
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Faults } from "@xenoservers/protocol/faults";
import { until } from "../../../../test/until.ts";
import { startEmbeddedPostgres, type DatabaseEnd, type EmbeddedPostgres } from "./embedded.ts";
import { watchOwnDatabase } from "./own-database.ts";

let folder: string;
let postgres: EmbeddedPostgres | null = null;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-embedded-"));
});
afterEach(async () => {
  await postgres?.stop();
  postgres = null;
  await rm(folder, { recursive: true, force: true });
});

const at = (name: string): string => path.join(folder, "postgres", name);

/** What it answers to whoever asks; null: it lets him in. */
async function refusalOf({ connection }: EmbeddedPostgres): Promise<{ code?: unknown; message: string } | null> {
  const client = new Client(connection);
  client.on("error", () => {});
  const refusal = await client.connect().then(
    () => null,
    (error: Error & { code?: unknown }) => error,
  );
  await client.end().catch(() => {});
  return refusal;
}

const answers = async (database: EmbeddedPostgres): Promise<boolean> => (await refusalOf(database)) === null;

it("tells each end in PostgreSQL's own words, and is there again once it can be", async () => {
  postgres = await startEmbeddedPostgres(folder);
  const ends: DatabaseEnd[] = [];
  postgres.onEnd((end) => ends.push(end));
  const settings = await readFile(at("postgresql.conf"), "utf8");
  await appendFile(at("postgresql.conf"), "\nno_such_setting = on\n");
  process.kill(Number((await readFile(at("postmaster.pid"), "utf8")).split("\n")[0]), "SIGKILL");
  await until(() => ends.length >= 3);
  const wrong = expect.stringMatching(/^configuration file ".*" contains errors$/);
  expect(ends.slice(0, 3)).toEqual([
    { why: "it ended by SIGKILL", isFull: false },
    { why: wrong, isFull: false },
    { why: wrong, isFull: false },
  ]);
  await writeFile(at("postgresql.conf"), settings);
  await until(() => answers(postgres!));
});

it("is started again where it is stuck in its recovery, and says nothing but that to whoever asks", async () => {
  postgres = await startEmbeddedPostgres(folder, { stuckMs: 300 });
  const ends: DatabaseEnd[] = [];
  postgres.onEnd((end) => ends.push(end));
  await postgres.unanswered();
  expect(await answers(postgres)).toBe(true);
  // as a standby that waits for its primary: it recovers, says nothing, and answers nobody
  const settings = await readFile(at("postgresql.conf"), "utf8");
  await appendFile(at("postgresql.conf"), "\nhot_standby = off\n");
  await writeFile(at("standby.signal"), "");
  const first = Number((await readFile(at("postmaster.pid"), "utf8")).split("\n")[0]);
  process.kill(first, "SIGKILL");
  // one that has only begun has the same code, and may not have read yet that it is a standby
  await until(async () => (await refusalOf(postgres!))?.message === "the database system is not accepting connections");
  expect(await refusalOf(postgres)).toMatchObject({ code: "57P03" });
  expect(ends.length).toBe(1);
  await rm(at("standby.signal"));
  await writeFile(at("postgresql.conf"), settings);
  await until(async () => {
    await postgres?.unanswered();
    return ends.length === 2;
  });
  await until(() => answers(postgres!));
});

it("says at a start what was wrong, and none of what else it said", async () => {
  postgres = await startEmbeddedPostgres(folder);
  await postgres.stop();
  postgres = null;
  await appendFile(at("postgresql.conf"), "\nno_such_setting = on\n");
  await expect(startEmbeddedPostgres(folder)).rejects.toThrow(/^PostgreSQL did not start: configuration file "[^"\n]*" contains errors$/);
});

it("is one fault however often it ends, and a full disk is told to strangers as well", () => {
  const lines: object[] = [];
  const write = (facts: object, what: string): void => void lines.push({ ...facts, what });
  let end: (end: DatabaseEnd) => void = () => {};
  const watched = watchOwnDatabase(
    { onEnd: (listener) => (end = listener), unanswered: async () => {} },
    new Faults({ error: write, info: write }),
  );
  expect(watched.silence).toBe("the database does not answer");
  for (let i = 0; i < 5; i++) end({ why: "its disk is full, make room there: No space left on device", isFull: true });
  expect(watched.silence).toBe("the disk of the broker's database is full");
  watched.answered();
  expect(watched.silence).toBe("the database does not answer");
  expect(lines).toMatchObject([
    { error: expect.stringContaining("its disk is full"), times: 1 },
    { times: 5, what: expect.stringMatching(/^over: the database ended by itself/) },
  ]);
});
