/** `npm run drill -- [--seed N] [--kills N] [--outage SECONDS]`: processes are killed at random while customers work; nothing may be lost. */
import { randomInt } from "node:crypto";
import { typed, wholeNumber } from "../../scripts/typed.ts";
import { Drill } from "./drill.ts";

const { values } = typed("npm run drill -- [--seed N] [--kills N] [--outage SECONDS]", {
  seed: { type: "string" },
  kills: { type: "string", default: "50" },
  outage: { type: "string", default: "600" },
});
const seed = values.seed === undefined ? randomInt(1_000_000_000) : wholeNumber("seed", values.seed);
console.log(`seed ${seed}`);
const problems = await Drill.run({
  seed,
  kills: wholeNumber("kills", values.kills),
  outageSeconds: wholeNumber("outage", values.outage),
  say: (line) => console.log(line),
});
for (const problem of problems) console.log(`WRONG: ${problem}`);
console.log(
  problems.length === 0 ? "nothing is lost, nobody honest is hurt, every hold is cleared" : `seed ${seed}: ${problems.length} wrong`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
