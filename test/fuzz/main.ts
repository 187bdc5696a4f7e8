/**
 * `npm run fuzz -- [TARGET…] [--count N] [--seed S] [--from INDEX] [--minutes M] [--lanes N]`: a line for each target, as many at once as
 * there are processors; exits 1 where something was found.
 */
import { availableParallelism } from "node:os";
import { refuse, typed } from "../../scripts/typed.ts";
import { inLanes } from "./lanes.ts";
import { inputOf, type Found } from "./run.ts";
import type { Target } from "./target.ts";
import { beginScratch } from "./scratch.ts";
import { TARGETS } from "./targets/index.ts";

const MINUTE_MS = 60_000;

const USAGE = "npm run fuzz -- [TARGET…] [--count N] [--seed S] [--from INDEX] [--minutes M] [--lanes N]";
const { values, positionals } = typed(
  USAGE,
  {
    count: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    minutes: { type: "string" },
    lanes: { type: "string", default: String(availableParallelism()) },
  },
  { what: "target", all: TARGETS.map(({ name }) => name) },
);

function numberOf(option: string, text: string): number {
  if (!/^\d{1,9}(\.\d+)?$/.test(text)) refuse(`--${option} '${text}' is no number`, `usage: ${USAGE}`);
  return Number(text);
}

const wanted = TARGETS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const [seed, from, lanes] = [numberOf("seed", values.seed), numberOf("from", values.from), numberOf("lanes", values.lanes)];
const count = numberOf("count", values.count);
const until = values.minutes === undefined ? null : Date.now() + numberOf("minutes", values.minutes) * MINUTE_MS;

/** What was found, and how it is seen again. */
async function show(target: Target, { what, index, stack, input }: Found): Promise<void> {
  const whole = input.length > 0 || index < 0 ? input : inputOf(target, await target.corpus(), seed, index);
  console.log(`  ${what}\n    again: npm run fuzz -- ${target.name} --seed ${seed} --from ${index} --count 1`);
  console.log(`    input (base64): ${Buffer.from(whole).toString("base64").slice(0, 4_000)}`);
  if (stack !== "") console.log(stack.split("\n").slice(0, 8).join("\n    "));
}

process.once("exit", beginScratch());
let all = 0;
for (const target of wanted) {
  const start = performance.now();
  const watched = { targets: new URL("targets/index.ts", import.meta.url).href, name: target.name, seed, from, until };
  const tally = await inLanes({ ...watched, count }, lanes);
  const perSecond = Math.round((tally.inputs * 1_000) / (performance.now() - start));
  const refused = Object.entries(tally.refused)
    .sort(([, a], [, b]) => b - a)
    .map(([code, times]) => `${code} ${times}`)
    .join(", ");
  const { inputs, accepted, found } = tally;
  console.log(
    `${target.name}: ${inputs} inputs, ${accepted} accepted, refused: ${refused || "none"}; ${perSecond}/s; found ${found.length}`,
  );
  for (const each of found) await show(target, each);
  all += found.length;
}
process.exitCode = all === 0 ? 0 : 1;
