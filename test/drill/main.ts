/** `npm run drill -- [--seed N] [--kills N] [--outage SECONDS]`: processes are killed at random while customers work; nothing may be lost. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { Drill } from "./drill.ts";

const { values } = parseArgs({
  options: { seed: { type: "string" }, kills: { type: "string", default: "50" }, outage: { type: "string", default: "600" } },
});
const numberOf = (name: string, text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} '${text}' is no whole number`);
  return Number(text);
};
const seed = values.seed === undefined ? randomInt(1_000_000_000) : numberOf("seed", values.seed);
console.log(`seed ${seed}`);
const problems = await Drill.run({
  seed,
  kills: numberOf("kills", values.kills),
  outageSeconds: numberOf("outage", values.outage),
  say: (line) => console.log(line),
});
for (const problem of problems) console.log(`WRONG: ${problem}`);
console.log(
  problems.length === 0 ? "nothing is lost, nobody honest is hurt, every hold is cleared" : `seed ${seed}: ${problems.length} wrong`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
