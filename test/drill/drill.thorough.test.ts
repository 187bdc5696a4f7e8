/** A short drill (rule S7); `npm run drill` is the whole one. */
import { expect, it } from "vitest";
import { Drill } from "./drill.ts";

it("loses nothing to a few kills and a short outage", async () => {
  const lines: string[] = [];
  const problems = await Drill.run({ seed: 5, kills: 6, outageSeconds: 8, say: (line) => void lines.push(line) });
  expect(problems, lines.join("\n")).toEqual([]);
  expect(lines.at(-1)).toMatch(/^[1-9]\d* leases, [1-9]\d* events/);
});
