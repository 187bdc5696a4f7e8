/** `npm run sim -- --seeds N [--from SEED]`, or `--seed SEED` to watch one. */
import { parseArgs } from "node:util";
import { simulate } from "./market.ts";

const { values } = parseArgs({
  options: { seeds: { type: "string", default: "1000" }, from: { type: "string", default: "0" }, seed: { type: "string" } },
});

if (values.seed !== undefined) {
  const { problem, leases } = await simulate({ seed: Number(values.seed), trace: (line) => console.log(line) });
  for (const lease of leases)
    console.log(lease.id.slice(0, 12), lease.state, lease.terms, lease.end?.reason ?? "", lease.end?.dueNanos ?? "");
  console.log(problem ?? "nothing wrong");
  process.exitCode = problem ? 1 : 0;
} else {
  const from = Number(values.from);
  for (let seed = from; seed < from + Number(values.seeds); seed++) {
    const { problem } = await simulate({ seed });
    if (problem) {
      console.log(`seed ${seed}: ${problem}`);
      process.exitCode = 1;
      break;
    }
    if ((seed - from) % 100 === 99) console.log(`${seed - from + 1} seeds, nothing wrong`);
  }
}
