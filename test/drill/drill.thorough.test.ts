/** A short drill (rule S7); `npm run drill` is the whole one. */
import { expect, it } from "vitest";
import { openPool } from "../../packages/xenocorp/src/store/pool.ts";
import { Drill } from "./drill.ts";

it("loses nothing to a few kills and a short outage", async () => {
  const lines: string[] = [];
  const problems = await Drill.run({ seed: 5, kills: 6, outageSeconds: 8, say: (line) => void lines.push(line) });
  expect(problems, lines.join("\n")).toEqual([]);
  expect(lines.at(-1)).toMatch(/^[1-9]\d* leases, [1-9]\d* events/);
});

/** What is taken away or added, and the words that must tell it. */
const FALSE: readonly (readonly [sql: string, words: RegExp])[] = [
  [
    "delete from event where seq = (select max(seq) from event where party in (select data->>'customer' from entity where kind = 'lease'))",
    /^of \d+ events a reader was shown \d+, 0 of them never$/,
  ],
  [
    "delete from entity where kind = 'lease' and id = (select id from entity where kind = 'lease' order by data->>'issuedAt' limit 1)",
    /^lease \w+ is lost$/,
  ],
  ["update balance set amount = amount + 1 where key like '%/available' and amount > 5000000000", /are not the \d+ that were credited$/],
];

it("tells what is lost where something is", async () => {
  const problems = await Drill.run({
    ...{ seed: 6, kills: 1, outageSeconds: 0, say: () => {} },
    async falsify(databaseUrl) {
      const database = openPool({ connectionString: databaseUrl, max: 1 });
      const rows = await Promise.all(FALSE.map(async ([sql]) => (await database.query(sql)).rowCount));
      await database.end();
      expect(rows).toEqual([1, 1, 2]);
    },
  });
  for (const [, words] of FALSE) expect(problems).toContainEqual(expect.stringMatching(words));
});
