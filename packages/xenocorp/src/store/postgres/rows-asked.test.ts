/** What is asked in one turn is one question, and what spoils it spoils nothing for others. */
import type { Pool } from "pg";
import { expect, it } from "vitest";
import { RowsAsked } from "./rows-asked.ts";

function answering(): { pool: Pool; asked: string[][] } {
  const asked: string[][] = [];
  const query = async ({ values: [kinds, ids] }: { values: [string[], string[]] }) => {
    asked.push(kinds.map((kind, i) => `${kind} ${ids[i]}`));
    if (ids.includes("bad")) throw new Error("invalid byte sequence");
    return { rows: kinds.map((kind, i) => ({ kind, id: ids[i], version: 1, data: {} })).filter(({ id }) => id !== "none") };
  };
  return { pool: { query } as unknown as Pool, asked };
}

it("asks once a turn for rows of all kinds, each once, and gives each asker its own", async () => {
  const { pool, asked } = answering();
  const rows = new RowsAsked(pool);
  const answers = await Promise.all([rows.of("lease", ["1", "2"]), rows.of("order", ["1", "none"]), rows.of("lease", ["2"])]);
  expect(asked).toEqual([["lease 1", "lease 2", "order 1", "order none"]]);
  expect(answers.map((found) => found.map(({ kind, id }) => `${kind} ${id}`))).toEqual([["lease 1", "lease 2"], ["order 1"], ["lease 2"]]);
  await rows.of("lease", ["3"]);
  expect(asked).toHaveLength(2);
});

it("asks for each by itself where one cannot be asked for", async () => {
  const { pool } = answering();
  const rows = new RowsAsked(pool);
  const [good, bad] = await Promise.allSettled([rows.of("lease", ["1"]), rows.of("order", ["bad"])]);
  expect([good, bad]).toMatchObject([{ value: [{ id: "1" }] }, { reason: { message: "invalid byte sequence" } }]);
});

it("gives two askers of one row each its own", async () => {
  const { pool } = answering();
  const rows = new RowsAsked(pool);
  const [[first], [second]] = await Promise.all([rows.of("lease", ["1"]), rows.of("lease", ["1"])]);
  Object.assign(first!.data as object, { changed: true });
  expect(second!.data).toEqual({});
});

it("does not ask a database that is lost once more for each", async () => {
  let asked = 0;
  const query = async (): Promise<never> => {
    asked++;
    throw Object.assign(new Error("the connection has gone"), { code: "ECONNRESET" });
  };
  const rows = new RowsAsked({ query } as unknown as Pool);
  const all = await Promise.allSettled([rows.of("lease", ["1"]), rows.of("lease", ["2"]), rows.of("order", ["3"])]);
  expect([asked, all.map(({ status }) => status)]).toEqual([1, ["rejected", "rejected", "rejected"]]);
});
